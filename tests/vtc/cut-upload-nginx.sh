# Uploads that are cut behind nginx, in front of a backend that speaks HTTP.
# needs: nginx spawn-fcgi redis-server redis-cli curl python3
MOUNT=nginx
. cut-upload
