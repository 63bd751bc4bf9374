# Visitors who hang up on long answers to their changes hold up nobody else: a quarter of the fetchers reads
# such answers to their end, and of the others it is not known what they have changed.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl python3
. case

site -n 1 responder='max_fetchers = 8;' routes='{ path = "/**"; ttl = "5m"; tags = ["site"]; }'
for number in 1 2 3 4 5 6 7 8 9 10 11 12; do
    # The head comes at once, the rest without end.
    curl -s -o /dev/null -D "$DIR/head.$number" -d x "$url/$number?size=200000000&drip=50" &
    visitor=$!
    await test -s "$DIR/head.$number"
    kill "$visitor"
    wait "$visitor" || :
done
for page in a b c d; do
    get "/$page" --max-time 5
    is "a page beside them" "$(status) $(cat "$DIR/body" | cut -c1-5)" '200 GET /'
done
gone() {
    "$LARDERCTL" -f "$DIR/larder.conf" --json stats | grep -q '"client_gone": *12,'
}
await gone
# Each has cost something all the same: what it changed is dropped for a while.
held() {
    redis cli --raw hkeys larder:gen-mutations | grep -q '^=tag:site$'
}
await held
