# One page whose variants cannot be stored fills half of the queue and no more: other pages are stored.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl python3
. case

redis start
backend start
# What has this word waits; the storer gives it up after 3 s.
delay "$PORT4" "$DIR/redis.sock" 0 HELDHELD "sleep 60" &
between=$!
await listening "$PORT4"
conf store="host = \"127.0.0.1\"; port = $PORT4;" cache='store_queue_count = 64;' \
    routes='{ path = "/**"; ttl = "5m"; variants = 200; }'
pool start -n 1
front lighttpd-spawn-fcgi "$PORT1"

cat > "$DIR/ask.py" << 'END'
import http.client
import sys

connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=60)
for i in range(100):
    connection.request("GET", "/one?h=Vary:Accept-Language&h=X-Word:HELDHELD", headers={"Accept-Language": f"l{i}"})
    connection.getresponse().read()
END
python3 "$DIR/ask.py" "$PORT1"
skipped() {
    "$LARDERCTL" -f "$DIR/larder.conf" --json stats | grep -q '"store_skipped_queue": *[1-9]'
}
await skipped
for page in $(seq 16); do
    get "/other/$page"
done
# All but those of the same lane.
stored() {
    hits=0
    for page in $(seq 16); do
        get "/other/$page"
        test "$(field X-Cache)" != HIT || hits=$((hits + 1))
    done
    test "$hits" -ge 5
}
# Soon: the held lane gives one up every 3 s, which makes room for others as well.
stored || { sleep 0.7 && stored; } || { sleep 0.7 && stored; } ||
    fail "$hits of 16 other pages are stored"
kill "$between"
