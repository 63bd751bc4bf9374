# Uploads that are cut behind lighttpd, in front of a backend that speaks HTTP.
# needs: lighttpd spawn-fcgi redis-server redis-cli curl python3
MOUNT=lighttpd-spawn-fcgi
. cut-upload
