# A stopped Redis costs a request no more than the budget, and soon nothing at all.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site -n 1 cache='budget = "100ms";' routes='{ path = "/**"; ttl = "1m"; }'
gets /page MISS 'GET /page #1'
redis stored 1
gets /page HIT 'GET /page #1'

redis pause
"$LOAD" -c 4 -n 400 "$url/page" > "$DIR/log/load" || fail "a request was lost"
slowest_ms=$(awk '$1 == "max_ms" { print int($2) }' "$DIR/log/load")
median_ms=$(awk '$1 == "p50_ms" { print int($2) }' "$DIR/log/load")
# Budget, a probe that meets another's lookup, and a machine that does other things.
test "$slowest_ms" -lt 1000 || fail "the slowest took $slowest_ms ms"
test "$median_ms" -lt 50 || fail "half of them took $median_ms ms and more"

redis resume
await is_hit /page
