# $_SERVER behind Larder and without it: nginx.
# needs: nginx spawn-fcgi redis-server redis-cli curl php
# time: 240
MOUNT=nginx-php
. php-server
