# Uploads that are cut behind Apache with mod_fcgid, in front of PHP-FPM.
# needs: apache2 mod_fcgid php redis-server redis-cli curl python3
MOUNT=apache-mod-fcgid-php
. cut-upload
