# A variant that is used keeps its place also where much is to be stored: that it was used goes first.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl python3
. case

redis start
backend start
delay "$PORT4" "$DIR/redis.sock" 0 HELDHELD "until test -e '$DIR/run/go'; do sleep 0.02; done" &
between=$!
await listening "$PORT4"
conf store="host = \"127.0.0.1\"; port = $PORT4;" routes='{ path = "/**"; ttl = "5m"; variants = 2; }'
pool start -n 1
front lighttpd-spawn-fcgi "$PORT1"

page='/page?h=Vary:Accept-Language'
has_one() {
    test "$(redis cli zcard "$(redis cli --raw --scan --pattern '*:variants')")" = 1
}
get "$page" -H 'Accept-Language: de'
await has_one
# Until then a newcomer has its place.
sleep 1.1
get '/held?h=X-Word:HELDHELD'
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
kill "$between"
