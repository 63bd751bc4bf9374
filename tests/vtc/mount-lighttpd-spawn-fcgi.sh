# lighttpd in front of a pool by spawn-fcgi.
# needs: lighttpd spawn-fcgi redis-server redis-cli curl
# time: 240
MOUNT=lighttpd-spawn-fcgi
. mount
