# lighttpd, which starts the responders itself (bin-path).
# needs: lighttpd redis-server redis-cli curl
# time: 240
MOUNT=lighttpd-bin-path
. mount
