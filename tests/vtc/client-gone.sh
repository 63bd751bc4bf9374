# A client that hangs up in the middle of a miss: nothing half is stored, everything goes on.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site routes='{ path = "/**"; ttl = "1m"; }'

page='/page?size=6000000&midgate=go'
curl -s -o "$DIR/half" --max-time 60 "$url$page" &
client=$!
half_there() {
    test "$(wc -c < "$DIR/half")" -ge 1000000
}
await half_there
kill "$client"
wait "$client" || true
backend open go

curl -sS -o "$DIR/straight" "$(backend url)$page"
get "$page"
cmp "$DIR/straight" "$DIR/body"
redis stored 1
get "$page"
is "X-Cache" "$(field X-Cache)" HIT
cmp "$DIR/straight" "$DIR/body"

# Before the head, and a hundred of them.
"$LOAD" -c 4 -n 50 "$url/other" > /dev/null
for client in 1 2 3 4 5 6 7 8 9 10; do
    curl -s -o /dev/null --max-time 0.05 "$url/slow$client?gate=later" || true
done
backend open later
"$LOAD" -c 4 -n 500 "$url/other" > "$DIR/log/load" || fail "$(cat "$DIR/log/load")"
