# Redis is farther away than a miss has time for: pages become hits, mutations are done, and nobody thinks
# that Redis is dead because an answer came too late for one request.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl python3
. case

redis start
backend start
delay "$PORT4" "$DIR/redis.sock" 30 &
between=$!
await listening "$PORT4"
conf store="host = \"127.0.0.1\"; port = $PORT4;" cache='budget = "50ms";' \
    routes='{ path = "/**"; ttl = "5m"; }'
pool start -n 2
front lighttpd-spawn-fcgi "$PORT1"

for page in 1 2 3; do
    await is_hit "/page/$page"
done
for page in 1 2 3; do
    get "/page/$page" -d change
    is 'X-Cache-Invalidate' "$(field X-Cache-Invalidate)" done
    get "/page/$page"
    is 'X-Cache after a mutation' "$(field X-Cache)" MISS
    await is_hit "/page/$page"
done
grep 'not asked any more' "$DIR/log/larder" && fail "a Redis that is far away was taken for a dead one"
kill "$between"
