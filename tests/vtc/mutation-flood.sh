# Requests whose answer never comes do not switch the cache off where Redis is some milliseconds away
# either: one is always on its way while what the others may have changed is dropped.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl python3
. case

redis start
backend start
delay "$PORT4" "$DIR/redis.sock" 30 &
between=$!
await listening "$PORT4"
conf store="host = \"127.0.0.1\"; port = $PORT4;" cache='mutation_max = "60s";' routes='
    { path = "/api/**"; tags = ["site"]; },
    { path = "/**"; ttl = "10m"; tags = ["site"]; }'
pool start -n 2
front lighttpd-spawn-fcgi "$PORT1"
await is_hit /page

: > "$DIR/run/sending"
senders=
for i in 1 2 3 4 5 6 7 8; do
    while test -e "$DIR/run/sending"; do
        curl -s -o /dev/null -d '' "$url/api/posts?hangup=1&n=$i-[1-50]"
    done &
    senders="$senders $!"
done
purged() {
    test "$(redis cli hget larder:gen-mutations =tag:site | cut -d ' ' -f 2)" -ge "$1"
}
# It is noted that it was purged, again and again, although nobody finds what was read.
await purged 3

sum=0
for again in 1 2 3 4 5 6 7 8 9 10 11 12; do
    page=$url/page
    curl -sS -D "$DIR/heads" $page $page $page $page $page $page $page $page $page $page > /dev/null ||
        fail "curl said $?"
    sum=$((sum + 10 * $(tr -d '\r' < "$DIR/heads" | grep -ci '^X-Cache: HIT' || true)))
    sleep 0.2
done
echo "hits beside requests without an answer: $((sum / 12)) %"
test "$sum" -ge 720 || fail "$((sum / 12)) % hits"
rm "$DIR/run/sending"
wait $senders
kill "$between"
