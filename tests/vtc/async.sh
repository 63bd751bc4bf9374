# async = true: a mutation is answered before what it drops is dropped; dropped it is.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

# The answer is waited for here with Redis stopped: it cannot come after the invalidation.
site cache='invalidate_timeout = "10s";' \
    routes='{ path = "/**"; resource = "r"; ttl = "1m"; invalidate = ["r:*"]; async = true; }'

gets /page MISS 'GET /page #1'
redis stored 1
redis pause
get /page -d '' --max-time 5
is "status" "$(status)" 200
redis resume
await redis count 0
