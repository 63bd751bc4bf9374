# A machine that was suspended trusts nothing that it cannot know: not how old a page is, not that no
# mutation has lost its process, not that its Redis is still the master, and not that a lock is its own.
# All of this holds for the first request after it has woken, before any thread has looked again.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl cc
. case

cc -D_GNU_SOURCE -O1 -shared -fPIC -o "$DIR/clocks.so" "$SRC/tests/vtc/lib/clocks.c"
export SLEPT="$DIR/slept"
# Under the address sanitizer it is not the first library any more.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0"
asleep() {
    echo "$1" > "$SLEPT.next"
    mv "$SLEPT.next" "$SLEPT"
}
asleep 0
LD_PRELOAD=$DIR/clocks.so redis start
backend start
conf routes='
    { path = "/short/**"; ttl = "10m"; stale_if_error = "1d"; tags = ["shop"]; },
    { path = "/**"; ttl = "30d"; tags = ["shop"]; }'
pool start -n 1 /usr/bin/env LD_PRELOAD="$DIR/clocks.so" "$LARDER_FCGI" -f "$DIR/larder.conf"
front lighttpd-spawn-fcgi "$PORT1"

# The time of a page is over; Redis has it still.
gets /short/page MISS 'GET /short/page #1'
await is_hit /short/page
asleep 3600
gets /short/page MISS 'GET /short/page #2'

# Some process has lost a mutation, and nobody has purged for it.
await is_hit /page
redis cli hset larder:gen-mutations =tag:shop '1 1 0 10000'
asleep 7200
get /page
is "a silent mutation: X-Cache" "$(field X-Cache)" MISS
# Its hold was over meanwhile.
gone() {
    test "$(redis cli hlen larder:gen-mutations)" -eq 0
}
await gone

# Redis is no master any more.
await is_hit /page
redis cli replicaof 127.0.0.1 1
asleep 10800
get /page
is "a replica: X-Cache" "$(field X-Cache)" MISS
redis cli replicaof no one
await is_hit /page

# A lock that has run out meanwhile.
LD_PRELOAD=$DIR/clocks.so "$LARDERCTL" -f "$DIR/larder.conf" lock nightly --ttl 1m -- sh -c '
    trap "touch \"$DIR/ended\"; exit 0" TERM
    touch "$DIR/begun"
    while :; do
        sleep 0.1
    done' &
await test -e "$DIR/begun"
asleep 14400
await -t 5 test -e "$DIR/ended"
wait $! && fail "the lock was lost, and larderctl said nothing"
is "locks that are left" "$(redis cli exists larder:nightly)" 0
