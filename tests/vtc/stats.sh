# larderctl stats tells what the pool did, of all its processes, also of those that have ended.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site -n 3 routes='
    { path = "/page/**"; ttl = "5m"; resource = "page"; invalidate = ["page:*"]; }'
larderctl() {
    "$LARDERCTL" -f "$DIR/larder.conf" "$@"
}
counter() {
    larderctl --json stats | tr ',{}' '\n\n\n' | sed -n "s/^ *\"$1\" *: *\([0-9]*\).*/\1/p" | head -n 1
}
counter_is() {
    test "$(counter "$1")" = "$2"
}

gets /page/1 MISS 'GET /page/1 #1'
gets /page/2 MISS 'GET /page/2 #1'
redis stored 2
for _ in 1 2 3 4 5; do
    gets /page/1 HIT 'GET /page/1 #1'
done
gets /other BYPASS 'GET /other #1'
get /page/1 -d ''
await counter_is stored 2
is "requests" "$(counter requests)" 9
is "hits" "$(counter hits)" 5
is "misses" "$(counter misses)" 2
is "bypasses" "$(counter bypasses)" 2
is "upstream_requests" "$(counter upstream_requests)" 4
is "invalidations" "$(counter invalidations)" 1
is "processes" "$(counter processes)" 3

larderctl stats > "$DIR/text"
grep -q hits "$DIR/text"
larderctl ping > "$DIR/text"
larderctl ping --pool > "$DIR/text"
larderctl check-config > "$DIR/text"

# Not even a SIGKILL takes away what was counted.
kill -9 "$(pool pids | head -n 1)"
two_left() {
    counter_is processes 2
}
await two_left
is "hits after a death" "$(counter hits)" 5
pool term
is "hits after the end" "$(counter hits)" 5
