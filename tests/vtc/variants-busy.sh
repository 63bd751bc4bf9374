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
# stored before the last use.
rm "$DIR/run/go"
for i in $(seq 200); do
    get "/many?h=Vary:Accept-Language" -H "Accept-Language: l$i"
done
many_stored() {
    test "$(redis cli zcard "$(redis cli --raw --scan --pattern '*:variants' | grep -v "$set")")" = 200
}
await many_stored
hold held-again
for i in $(seq 200); do
    get "/many?h=Vary:Accept-Language" -H "Accept-Language: l$i"
    is "X-Cache of the first use" "$(field X-Cache)" HIT
done
for i in $(seq 40); do
    get "/behind/$i"
    "$LARDERCTL" -f "$DIR/larder.conf" explain "$url/behind/$i" | sed -n 's/^Key: *//p' >> "$DIR/keys"
done
is 'keys' "$(sort -u "$DIR/keys" | wc -l)" 40
redis cli config set slowlog-max-len 2000
redis cli config set slowlog-log-slower-than 0
redis cli slowlog reset
: > "$DIR/run/go"
are_stored() {
    # shellcheck disable=SC2046
    test "$(redis cli exists $(cat "$DIR/keys"))" = 40
}
await are_stored
# The newest comes first.
uses=$(redis cli --raw slowlog get 2000 | awk -v keys="$(xargs < "$DIR/keys")" '
    BEGIN { n = split(keys, list, " "); for (i = 1; i <= n; i++) is_key[list[i]] = 1 }
    before != "EXISTS" && $0 in is_key && put { found = 1 }
    { put = $0 == "1" }
    found && /^local function unlink/ { uses++ }
    { before = $0 }
    END { print uses + 0 }')
echo "$uses uses of 200 before the last page was stored"
test "$uses" -ge 1 && test "$uses" -le 150 || fail "$uses uses of 200 went before what was to be stored"
kill "$between"
