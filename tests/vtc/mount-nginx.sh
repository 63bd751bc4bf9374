# nginx, which keeps its connections, in front of a pool by spawn-fcgi.
# needs: nginx spawn-fcgi redis-server redis-cli curl
# time: 240
MOUNT=nginx
. mount
