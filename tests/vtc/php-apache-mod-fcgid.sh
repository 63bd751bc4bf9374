# PHP behind Larder: apache-mod-fcgid.
# needs: apache2 mod_fcgid redis-server redis-cli curl php
# time: 240
MOUNT=apache-mod-fcgid-php
RESPONDER='workers = 1; max_fetchers = 1;'
. php-mount
