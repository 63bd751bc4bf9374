# A WordPress behind nginx.
# needs: nginx spawn-fcgi redis-server redis-cli curl php-fpm php-cli mariadbd wordpress
# time: 400
MOUNT=nginx-php
. wordpress-mount
