# Purges in the words of other caches, behind lighttpd.
# needs: lighttpd spawn-fcgi redis-server redis-cli curl
MOUNT=lighttpd-spawn-fcgi
. foreign
