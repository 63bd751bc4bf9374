# PHP behind Larder: nginx.
# needs: nginx spawn-fcgi redis-server redis-cli curl php
# time: 240
MOUNT=nginx-php
. php-mount
