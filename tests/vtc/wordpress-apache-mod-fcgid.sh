# A WordPress behind Apache with mod_fcgid.
# needs: apache2 mod_fcgid redis-server redis-cli curl php-fpm php-cli mariadbd wordpress
# time: 400
MOUNT=apache-mod-fcgid-php
. wordpress-mount
