# Uploads that are cut behind Apache with mod_fcgid, in front of a backend that speaks HTTP.
# needs: apache2 mod_fcgid redis-server redis-cli curl python3
MOUNT=apache-mod-fcgid
. cut-upload
