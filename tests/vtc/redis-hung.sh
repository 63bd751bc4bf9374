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
is_hit() {
    curl -s -o /dev/null -D - "$url/page" | grep -q -i '^x-cache: hit'
}
tries=0
until is_hit; do
    tries=$((tries + 1))
    test "$tries" -lt 500 || fail "Redis is back and is not used"
    sleep 0.02
done
