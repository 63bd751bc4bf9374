# A machine that is suspended between the registration of a mutation and the backend registers it anew:
# the others may have taken it for dead, and have stopped to drop what it changes.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl python3 cc
. case

cc -D_GNU_SOURCE -O1 -shared -fPIC -o "$DIR/clocks.so" "$SRC/tests/vtc/lib/clocks.c"
export SLEPT="$DIR/slept"
# Under the address sanitizer it is not the first library any more.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0"
echo 0 > "$SLEPT"
redis start
backend start
# The news are asked for behind the registration of a POST whose answer may be stored.
delay "$PORT4" "$DIR/redis.sock" 20 XREVRANGE "mv '$SLEPT.next' '$SLEPT' 2> /dev/null" &
between=$!
await listening "$PORT4"
conf store="host = \"127.0.0.1\"; port = $PORT4;" routes='{ path = "/**"; cache = "rfc"; }'
pool start -n 1 /usr/bin/env LD_PRELOAD="$DIR/clocks.so" "$LARDER_FCGI" -f "$DIR/larder.conf"
front lighttpd-spawn-fcgi "$PORT1"
registrations() {
    redis cli info commandstats | tr -d '\r' | sed -n 's/^cmdstat_hsetnx:calls=\([0-9]*\),.*/\1/p'
}
is_registered() {
    redis cli hvals larder:gen-mutations | grep -q '^[0-9]* [0-9]*$' &&
        test "$(redis cli hlen larder:gen-mutations)" -eq 1
}
# post NAME
post() {
    curl -sS -o /dev/null -d '' "$url/page?gate=$1" &
    mutation=$!
    backend saw POST "/page?gate=$1" 1
    is_registered || fail "$1: $(redis cli hgetall larder:gen-mutations)"
}
post awake
backend open awake
wait "$mutation"
is "registrations of the one that was not suspended" "$(registrations)" 1

echo 10 > "$SLEPT.next"
post suspended
test ! -e "$SLEPT.next" || fail "it was not suspended"
is "registrations with the one that was" "$(registrations)" 3
backend open suspended
wait "$mutation"
is_over() {
    test "$(redis cli hlen larder:gen-mutations)" -eq 0
}
await is_over
kill "$between"
