# async = true: a mutation is answered before what it drops is dropped; dropped it is. Where nobody knows what
# became of it, its own URL is dropped again and again as well, and not only what the route names.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

# The answer is waited for here with Redis stopped: it cannot come after the invalidation.
site upstream='timeout = "1s";' cache='invalidate_timeout = "10s";' routes='
    { path = "/apart"; methods = ["GET", "POST"]; ttl = "1h"; invalidate = ["x:*"]; async = true; },
    { path = "/**"; resource = "r"; ttl = "1m"; invalidate = ["r:*"]; async = true; }'

gets /page MISS 'GET /page #1'
redis stored 1
redis pause
get /page -d '' --max-time 5
is "status" "$(status)" 200
redis resume
await redis count 0

# The first request of this target is answered 200, the POST 504.
apart='/apart?status=504&after=1'
await is_hit "$apart"
get "$apart" -d ''
is "X-Cache-Invalidate" "$(field X-Cache-Invalidate)" unknown
redis cli hkeys larder:gen-mutations > "$DIR/held"
is "what is held" "$(grep -c '^=url:' "$DIR/held") $(grep -c '^=' "$DIR/held")" '1 2'
get "$apart"
is "status" "$(status)" 504
