# Two machines of which one has a wrong clock, and one whose clock jumps under a running pool: what one
# has stored is a hit on the other, as old as it is, and stale on both when its time is over.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl faketime
. case
. two-pools

libfaketime=$(find /usr/lib -name libfaketimeMT.so.1 | head -n 1)
redis start
backend start
conf routes='{ path = "/**"; ttl = "5m"; stale_if_error = "10m"; }'
# Under the address sanitizer it is not the first library any more.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0"
pools() {
    echo "$1" > "$DIR/clock"
    SOCKET=$DIR/a.sock pool start -n 1
    SOCKET=$DIR/b.sock pool start -n 1 /usr/bin/env LD_PRELOAD="$libfaketime" DONT_FAKE_MONOTONIC=1 \
        FAKETIME_NO_CACHE=1 FAKETIME_TIMESTAMP_FILE="$DIR/clock" "$LARDER_FCGI" -f "$DIR/larder.conf"
}
pools +1h
SOCKET=$DIR/a.sock front lighttpd-spawn-fcgi "$PORT1"
SOCKET=$DIR/b.sock front lighttpd-spawn-fcgi "$PORT2"
here=$url

x_cache() {
    get "$1" -H "Host: $host"
    is "$1: status" "$(status)" 200
    test "$(field X-Cache)" = "$2"
}

# exchange PAGE: either machine has what the other one has stored, and not for longer than its second.
exchange() {
    for from in "$here" "$other"; do
        [ "$from" = "$here" ] && to=$other || to=$here
        side=${from##*:}
        dated=$(date -u '+%a,%%20%d%%20%b%%20%Y%%20%T%%20GMT')
        for page in "/long/$1-$side" "/dated/$1-$side?h=Date:$dated&h=Cache-Control:max-age=60"; do
            url=$from
            x_cache "$page" MISS || fail "$1: $page: $(field X-Cache)"
            url=$to
            await x_cache "$page" HIT
            test "$(field Age)" -lt 20 || fail "$1: $page has the age $(field Age)"
            url=$from
            x_cache "$page" HIT || fail "$1: $page where it was stored: $(field X-Cache)"
            backend only GET "$page" 1
        done
        page="/short/$1-$side?h=Cache-Control:max-age=1"
        url=$from
        get "$page" -H "Host: $host"
        url=$to
        await x_cache "$page" MISS
    done
    url=$here
}

exchange first
for jump in -1h +10y -10y +0; do
    # What was stored before the clock jumped is as fresh as before.
    url=$other
    x_cache "/jump$jump" MISS || fail "before the jump to $jump: $(field X-Cache)"
    await x_cache "/jump$jump" HIT
    echo "$jump" > "$DIR/clock"
    x_cache "/jump$jump" HIT || fail "after the jump to $jump: $(field X-Cache)"
    test "$(field Age)" -lt 20 || fail "after the jump to $jump: the age is $(field Age)"
    exchange "$jump"
done
grep -q "its clock and this machine's are 3[56][0-9]* s apart" "$DIR/log/larder" || fail "no line in the log"
