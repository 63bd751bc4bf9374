# Connections that nginx keeps open and idle hold no thread, and the responder's end for a second.
# needs: nginx redis-server redis-cli spawn-fcgi curl
. case

site -m nginx responder='workers = 1; max_fetchers = 2; drain_timeout = "30s";' routes='{ path = "/**"; ttl = "5m"; }'
gets /page MISS 'GET /page #1'
redis stored 1
# As many kept ones as nginx will have, then as many again with requests that miss.
"$LOAD" -c 32 -n 2000 -b same "$url/page" > "$DIR/log/load" || fail "$(cat "$DIR/log/load")"
"$LOAD" -c 32 -n 500 -b pattern "$url/{n}?size=3000" > "$DIR/log/load" || fail "$(cat "$DIR/log/load")"
gets /page HIT 'GET /page #1'

pool signal TERM
await -t 8 pool gone
