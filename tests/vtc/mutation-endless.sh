# The answer to a mutation that has no end, whose visitor has gone: after mutation_max nobody knows of it, and
# what it may still change is dropped every few seconds, for as long as it may be at it.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site upstream='timeout = "1s"; connect_timeout = "200ms";' cache='mutation_max = "2s";' routes='
    { path = "/**"; ttl = "1h"; tags = ["shop"]; }'

silent() {
    test "$(redis cli hexists larder:gen-mutations =tag:shop)" -eq 1
}
half_there() {
    test "$(wc -c < "$DIR/half")" -ge "$1"
}

await is_hit /page
curl -sS --max-time 60 -o "$DIR/half" -d '' "$url/page?size=200000000&drip=50" &
visitor=$!
await half_there 16384
kill "$visitor"
wait "$visitor" || true
begun=$(date +%s)
await silent
test $(($(date +%s) - begun)) -le 5 || fail "it took $(($(date +%s) - begun)) s"
grep -q 'POST /page.*no end of the response' "$DIR/log/larder" || fail "$(cat "$DIR/log/larder")"
