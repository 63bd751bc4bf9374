# PHP behind Larder: lighttpd.
# needs: lighttpd spawn-fcgi redis-server redis-cli curl php
# time: 240
MOUNT=lighttpd-php
. php-mount
