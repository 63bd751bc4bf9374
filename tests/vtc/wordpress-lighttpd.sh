# A WordPress behind lighttpd.
# needs: lighttpd spawn-fcgi redis-server redis-cli curl php-fpm php-cli mariadbd wordpress
# time: 400
MOUNT=lighttpd-php
. wordpress-mount
