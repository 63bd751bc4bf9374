# A stranger who sends without end what is refused, on many connections, costs nobody a hit; nor do
# requests whose answer never comes switch the cache off: what they may have changed is dropped every
# few seconds, and stored again.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site -n 2 cache='mutation_max = "60s";' routes='
    { path = "/api/**"; tags = ["site"]; },
    { path = "/**"; ttl = "10m"; tags = ["site"]; }'

# measure REQUESTS: of so many, one after the other, how many percent were hits.
measure() {
    curl -sS -o /dev/null -D "$DIR/heads" "$url/page?[1-$1]" ||
        fail "curl said $?"
    hits=$(tr -d '\r' < "$DIR/heads" | grep -ci '^X-Cache: HIT' || true)
    echo $((100 * hits / $1))
}
senders=
# send TARGET: on four connections, until stop.
send() {
    : > "$DIR/run/sending"
    n=0
    for i in 1 2 3 4; do
        while test -e "$DIR/run/sending"; do
            curl -s -o /dev/null -d '' "$url$1&n=$i-$((n += 1))-[1-50]"
        done &
        senders="$senders $!"
    done
}
stop() {
    rm "$DIR/run/sending"
    wait $senders
    senders=
}

measure 200 > /dev/null
stored() {
    redis stored 200
}
await stored
is "hits before" "$(measure 200)" 100

send '/api/posts?status=401'
sent() {
    test "$(grep -c '^POST' "$DIR/log/requests")" -ge "$1"
}
await sent 50
for again in 1 2 3 4 5; do
    is "hits beside refused requests" "$(measure 200)" 100
done
await sent 200
stop

# Each of these may have changed the whole site.
send '/api/posts?hangup=1'
await sent 400
sum=0
for again in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    # One page, ten times.
    page=$url/page?1
    curl -sS -D "$DIR/heads" $page $page $page $page $page $page $page $page $page $page > /dev/null ||
        fail "curl said $?"
    sum=$((sum + 10 * $(tr -d '\r' < "$DIR/heads" | grep -ci '^X-Cache: HIT' || true)))
    sleep 0.2
done
stop
echo "hits beside requests without an answer: $((sum / 20)) %"
test "$sum" -ge 1200 || fail "$((sum / 20)) % hits"
fields=$(redis cli hlen larder:gen-mutations)
# Each has a URL of its own, and there is a limit to those.
test "$fields" -le 530 || fail "the register has $fields fields"
# And it is dropped again and again.
changes() {
    get /page?1
    test "$(cat "$DIR/body")" != "$was"
}
get /page?1
was=$(cat "$DIR/body")
await changes
