# A variant that is used keeps its place also where much is to be stored: that it was used goes first.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl python3
. case

redis start
backend start
delay "$PORT4" "$DIR/redis.sock" 0 HELDHELD "until test -e '$DIR/run/go'; do sleep 0.02; done" &
between=$!
await listening "$PORT4"
conf store="host = \"127.0.0.1\"; port = $PORT4;" \
    routes='{ path = "/many"; ttl = "5m"; variants = 200; }, { path = "/**"; ttl = "5m"; variants = 2; }'
pool start -n 1
front lighttpd-spawn-fcgi "$PORT1"

page='/page?h=Vary:Accept-Language'
has_one() {
    test "$(redis cli zcard "$(redis cli --raw --scan --pattern '*:variants')")" = 1
}
get "$page" -H 'Accept-Language: de'
await has_one
set=$(redis cli --raw --scan --pattern '*:variants')
# Until then a newcomer has its place.
sleep 1.1
# Each lane of the storer.
hold() {
    for number in $(seq 40); do
        get "/$1/$number?h=X-Word:HELDHELD"
    done
}
hold held
for stranger in a b c; do
    get "$page" -H "Accept-Language: $stranger"
    is "X-Cache of a stranger" "$(field X-Cache)" MISS
done
get "$page" -H 'Accept-Language: de'
is "X-Cache of the first use" "$(field X-Cache)" HIT
get /last
is "X-Cache while the storer is held" "$(field X-Cache)" MISS
: > "$DIR/run/go"
await is_hit /last
get "$page" -H 'Accept-Language: de'
is "X-Cache of what is in use" "$(field X-Cache)" HIT

# But however much is used, what is to be stored is, by turns: of the pages behind 200 uses the last one is
# stored before the last use. Quickly, because a store is given up after 3 s.
cat > "$DIR/ask.py" << 'END'
"""GET each of the paths, on one connection; %d: 1 to that number, which is also the language."""
import http.client
import sys

connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=60)
for path, number in zip(sys.argv[2::2], sys.argv[3::2]):
    for i in range(1, int(number) + 1):
        connection.request("GET", path.replace("%d", str(i)), headers={"Accept-Language": f"l{i}"})
        answer = connection.getresponse()
        answer.read()
        print(answer.getheader("X-Cache"))
END
ask() {
    python3 "$DIR/ask.py" "$PORT1" "$@"
}
rm "$DIR/run/go"
many='/many?h=Vary:Accept-Language'
ask "$many" 200 > "$DIR/asked"
many_stored() {
    test "$(redis cli zcard "$(redis cli --raw --scan --pattern '*:variants' | grep -v "$set")")" = 200
}
await many_stored
redis cli config set slowlog-max-len 3000
ask '/held-again/%d?h=X-Word:HELDHELD' 40 "$many" 200 '/behind/%d' 40 > "$DIR/asked"
is 'hits' "$(grep -c HIT "$DIR/asked")" 200
# 40 are held, 40 wait behind them.
stored=$(($(redis entries | grep -c -v ':variants$') + 80))
redis cli slowlog reset
redis cli config set slowlog-log-slower-than 0
: > "$DIR/run/go"
behind() {
    redis entries | grep -v ':variants$' | while read -r key; do
        ! redis cli getrange "$key" 0 400 | grep -q -a /behind/ || echo "$key"
    done > "$DIR/keys"
    test "$(wc -l < "$DIR/keys")" -eq 40
}
last_is_stored() {
    test "$(redis cli --raw --scan --pattern '*response:*' | grep -c -v ':variants$')" -ge "$stored"
}
await last_is_stored
sleep 0.2
redis cli config set slowlog-log-slower-than -1
redis cli --raw slowlog get 3000 > "$DIR/slowlog"
await behind
# The newest comes first.
uses=$(awk -v keys="$(xargs < "$DIR/keys")" '
    BEGIN { n = split(keys, list, " "); for (i = 1; i <= n; i++) is_key[list[i]] = 1 }
    $0 in is_key && put { found = 1 }
    { put = $0 == "1" }
    found && /^local function unlink/ { uses++ }
    END { print uses + 0 }' "$DIR/slowlog")
echo "$uses uses of 200 before the last page was stored"
test "$uses" -ge 1 && test "$uses" -le 150 || fail "$uses uses of 200 went before what was to be stored"
kill "$between"
