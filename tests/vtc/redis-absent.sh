# Without Redis from the start every request is answered, and when Redis comes it is found.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

backend start
conf cache='budget = "50ms";' routes='{ path = "/**"; ttl = "1m"; }'
pool start -n 2
front lighttpd-spawn-fcgi "$PORT1"

"$LOAD" -c 8 -n 2000 -b pattern "$url/page?size=1024" "$url/{n}?size=3000" || fail "a request was lost"
get /page -d ''
is "status" "$(status)" 200
# A line per change of state, not per request.
lines=$(grep -c 'redis' "$DIR/log/larder")
test "$lines" -lt 40 || fail "$lines lines about Redis for 2000 requests"

redis start
await is_hit "/found?size=10"
