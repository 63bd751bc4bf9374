# From the start over hits, misses, mutations and failures to the end: no leak, no invalid access.
# needs: valgrind lighttpd redis-server redis-cli curl
# time: 300
. case

if ldd "$LARDER_FCGI" | grep -q -e libasan -e libubsan -e libtsan; then
    echo "SKIP: a sanitizer is watching already"
    exit 77
fi
redis start
backend start
conf upstream='timeout = "5s";' redis='pool_min_idle = 1;' \
    routes='{ path = "/page/**"; resource = "r"; ttl = "5m"; invalidate = ["r:*"]; }'
valgrind --quiet --leak-check=full --show-leak-kinds=definite,indirect,possible \
    --errors-for-leak-kinds=definite,indirect --error-exitcode=99 --child-silent-after-fork=yes \
    --log-file="$DIR/log/valgrind" \
    "$LARDER_FCGI" -f "$DIR/larder.conf" -s "$DIR/larder.sock" 2> "$DIR/log/stderr" &
pid=$!
await test -S "$DIR/larder.sock"
front lighttpd-spawn-fcgi "$PORT1"

gets /page/1 MISS 'GET /page/1 #1'
redis stored 1
gets /page/1 HIT 'GET /page/1 #1'
gets /other BYPASS 'GET /other #1'
get /page/1 -d x
get '/page/large?size=9437184'
get '/page/bytes?size=1000000'
curl -s --max-time 20 -o /dev/null "$url/page/cut?size=100000&cut=5000" && fail "looked whole"
cp "$DIR/larder.conf" "$DIR/kept.conf"
kill -HUP "$pid"
echo nonsense > "$DIR/larder.conf"
kill -HUP "$pid"
cp "$DIR/kept.conf" "$DIR/larder.conf"
redis stop
get /page/2
backend stop
get /page/3
is "status" "$(status)" 502
kill -TERM "$pid"
wait "$pid" || fail "exit status $?: $(cat "$DIR/log/valgrind")"
