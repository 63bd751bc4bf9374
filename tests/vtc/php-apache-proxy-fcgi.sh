# PHP behind Larder: apache-proxy-fcgi.
# needs: apache2 mod_proxy_fcgi spawn-fcgi redis-server redis-cli curl php
# time: 240
MOUNT=apache-proxy-fcgi-php
. php-mount
