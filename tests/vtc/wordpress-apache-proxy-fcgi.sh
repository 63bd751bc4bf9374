# A WordPress behind Apache with mod_proxy_fcgi.
# needs: apache2 mod_proxy_fcgi spawn-fcgi redis-server redis-cli curl php-fpm php-cli mariadbd wordpress
# time: 400
MOUNT=apache-proxy-fcgi-php
. wordpress-mount
