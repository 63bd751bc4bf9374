# Uploads that are cut behind lighttpd, in front of PHP-FPM.
# needs: lighttpd spawn-fcgi php redis-server redis-cli curl python3
MOUNT=lighttpd-php
. cut-upload
