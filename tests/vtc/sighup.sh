# SIGHUP: a good file counts from then on; a bad one is refused with its line, and the old one stays.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site -n 2 routes='{ path = "/one"; ttl = "5m"; }'
gets /one MISS 'GET /one #1'
redis stored 1
gets /one HIT 'GET /one #1'
gets /two BYPASS 'GET /two #1'

printf 'upstream = { url = "http://127.0.0.1:1"; };\nnonsense = 1;\n' > "$DIR/larder.conf"
pool signal HUP
await grep -q 'larder.conf:2' "$DIR/log/larder"
for _ in 1 2 3 4 5 6; do
    gets /one HIT 'GET /one #1'
done

conf routes='{ path = "/two"; ttl = "5m"; }'
pool signal HUP
# Each process when it gets there.
changed() {
    for _ in 1 2 3 4 5 6; do
        curl -s -o /dev/null -D - "$url/one" | grep -q -i '^x-cache: bypass' || return 1
    done
}
await changed
get /two
is "X-Cache" "$(field X-Cache)" MISS
redis stored 2
get /two
is "X-Cache" "$(field X-Cache)" HIT

# Under load, again and again, nothing is lost.
"$LOAD" -c 8 -n 3000 -b pattern "$url/two?size=1000" "$url/{n}?size=1000" > "$DIR/log/load" 2>&1 &
load=$!
while kill -0 "$load" 2> /dev/null; do
    pool signal HUP
    sleep 0.02
done
wait "$load" || fail "$(cat "$DIR/log/load")"
