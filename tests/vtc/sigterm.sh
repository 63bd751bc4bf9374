# SIGTERM and SIGUSR1: what is in hand is finished, nothing is lost, the exit status is 0.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

# The socket stays, two of four processes go: the others have everything that is not in hand.
site -n 4 routes='{ path = "/hit"; ttl = "5m"; }'
gets /hit MISS 'GET /hit #1'
"$LOAD" -c 16 -n 6000 -b pattern "$url/miss/{n}?size=3000" "$url/slow?size=100&delay=20" \
    > "$DIR/log/load" 2>&1 &
load=$!
half_way() {
    test "$(backend total)" -ge 1000
}
await half_way
pool pids | head -n 2 > "$DIR/leaving"
kill -TERM "$(sed -n 1p "$DIR/leaving")"
kill -USR1 "$(sed -n 2p "$DIR/leaving")"
wait "$load" || fail "$(cat "$DIR/log/load")"
left() {
    for pid in $(cat "$DIR/leaving"); do
        ! kill -0 "$pid" 2> /dev/null || return 1
    done
}
await left
get /hit
is "status" "$(status)" 200
pool term
rm -f "$DIR/larder.sock"

# One that waits for its backend when the signal comes.
for signal in TERM USR1; do
    "$LARDER_FCGI" -f "$DIR/larder.conf" -s "$DIR/larder.sock" 2> "$DIR/log/stderr" &
    pid=$!
    await test -S "$DIR/larder.sock"
    get /warm
    is "status" "$(status)" 200
    curl -sS --max-time 30 -o "$DIR/slow" "$url/$signal?gate=$signal" &
    client=$!
    backend saw GET "/$signal?gate=$signal" 1
    kill -s "$signal" "$pid"
    backend open "$signal"
    wait "$client" || fail "$signal: the request in hand was lost"
    is "its answer" "$(cat "$DIR/slow")" "GET /$signal?gate=$signal #1"
    wait "$pid" || fail "exit status $? on SIG$signal"
    rm -f "$DIR/larder.sock"
done

# Idle: at once.
"$LARDER_FCGI" -f "$DIR/larder.conf" -s "$DIR/larder.sock" 2> "$DIR/log/stderr" &
pid=$!
await test -S "$DIR/larder.sock"
get /warm
kill -TERM "$pid"
begun=$(date +%s)
wait "$pid" || fail "exit status $? on SIGTERM"
test $(($(date +%s) - begun)) -le 3 || fail "an idle responder took its time to end"
