# Purges in the words of other caches, behind nginx.
# needs: nginx spawn-fcgi redis-server redis-cli curl
MOUNT=nginx
. foreign
