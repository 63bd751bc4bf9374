# Uploads that are cut behind nginx, in front of PHP-FPM.
# needs: nginx spawn-fcgi php redis-server redis-cli curl python3
MOUNT=nginx-php
. cut-upload
