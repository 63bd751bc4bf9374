# A process that dies while it fetches is missed when its lease has run out; then one of the others
# fetches for all.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case
. crowd
. two-pools

two_pools coalesce='lease = "1s"; wait = "30s";' routes='{ path = "/**"; ttl = "1m"; }'

page='/page?gate=go'
crowd lost 1 "$page"
backend saw GET "$page" 1
crowd waits 5 "$other$page"
await waiting 5
# It lives, and says so: nobody else fetches, however long it takes.
sleep 2.5
backend only GET "$page" 1
kill -9 "$first"
wait "$(cat "$DIR/lost.pids")" || true
backend saw GET "$page" 2
backend open go
gathered waits
backend only GET "$page" 2
is "misses" "$(said waits '^x-cache: miss')" 1
is "hits" "$(said waits '^x-cache: hit')" 4
