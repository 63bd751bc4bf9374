# Redis takes fewer clients than the processes would like to have connections: each uses what it gets, and
# the log does not fill.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl python3
. case

redis start
backend start
conf redis='pool_min_idle = 5;' responder='workers = 8;' routes='{ path = "/**"; ttl = "5m"; }'
redis cli config set maxclients 11 > /dev/null
pool start -n 2
front lighttpd-spawn-fcgi "$PORT1"
await is_hit /page
for _ in $(seq 40); do
    get /page
    is 'X-Cache' "$(field X-Cache)" HIT
done
for page in $(seq 60); do
    curl -s -o /dev/null "http://127.0.0.1:$PORT1/p/$page" &
    asked="${asked:-} $!"
done
# shellcheck disable=SC2086
wait $asked
for page in 1 30 60; do
    await is_hit "/p/$page"
done
get /page -d change
is 'X-Cache-Invalidate' "$(field X-Cache-Invalidate)" done
sleep 6
get /p/1
is 'X-Cache after a while' "$(field X-Cache)" HIT
grep 'not asked any more' "$DIR/log/larder" && fail "a Redis that takes no more clients was taken for a dead one"
told=$(grep -c 'max number of clients reached; going on with' "$DIR/log/larder")
test "$told" -ge 1 && test "$told" -le 2 || fail "two processes have told of it $told times"
