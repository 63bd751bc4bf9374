# enabled = false: Redis is not asked, every request is passed.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site cache='enabled = false;' routes='{ path = "/**"; ttl = "5m"; invalidate = ["*"]; }'
gets /page DISABLED 'GET /page #1'
gets /page DISABLED 'GET /page #2'
get /page -d ''
is "status" "$(status)" 200
redis count 0
test "$(redis cli info stats | sed -n 's/^keyspace_misses:\([0-9]*\).*/\1/p')" -eq 0
