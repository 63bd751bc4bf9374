# Uploads that are cut behind Apache with mod_proxy_fcgi, in front of PHP-FPM.
# needs: apache2 mod_proxy_fcgi spawn-fcgi php redis-server redis-cli curl python3
MOUNT=apache-proxy-fcgi-php
. cut-upload
