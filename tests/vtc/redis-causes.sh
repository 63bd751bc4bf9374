# Redis does not answer: each request does, as a miss; and everybody who is asked why says what is the
# matter with Redis, and not only that there is something.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

backend start
front lighttpd-spawn-fcgi "$PORT1"

# says WHAT CAUSE: the pool of that configuration, its log, larderctl explain and status.
number=0
says() {
    number=$((number + 1))
    rm -f "$DIR/log/larder"
    pool start -n 1
    # Some: until the breaker is open, and after that.
    for _ in 1 2 3 4; do
        get /page
        is "$1: status" "$(status)" 200
        is "$1: X-Cache" "$(field X-Cache)" MISS
        field Cache-Status | grep -q 'detail=no-generations' || fail "$1: $(field Cache-Status)"
        "$LARDERCTL" -f "$DIR/larder.conf" explain "$url/page" > "$DIR/explained" || fail "$1: explain"
        grep -q "^Stored: *unknown: redis .*$2" "$DIR/explained" || fail "$1: explain: $(cat "$DIR/explained")"
        grep -q "^Next: *MISS (no-generations): redis .*$2" "$DIR/explained" ||
            fail "$1: explain: $(cat "$DIR/explained")"
    done
    known() {
        "$LARDERCTL" -f "$DIR/larder.conf" --json status > "$DIR/said" && grep -q "\"error\": *\".*$2" "$DIR/said"
    }
    await known "$1" "$2"
    grep -q "warning: not looked up, .*redis .*$2" "$DIR/log/larder" || fail "$1: $(cat "$DIR/log/larder")"
    # So does a mutation, whose invalidation goes to the journal.
    get /page -d ''
    is "$1: X-Cache-Invalidate" "$(field X-Cache-Invalidate)" journal
    grep -q "POST /page: .*redis .*$2" "$DIR/log/larder" || fail "$1: $(cat "$DIR/log/larder")"
    "$LARDERCTL" -f "$DIR/larder.conf" explain "$url/page" > "$DIR/explained"
    grep -q "^Next: *MISS (journal): .*journal.*$2" "$DIR/explained" || fail "$1: $(cat "$DIR/explained")"
    "$LARDERCTL" -f "$DIR/larder.conf" --timeout 500ms ping 2> "$DIR/said" && fail "$1: ping"
    grep -q "$2" "$DIR/said" || fail "$1: ping: $(cat "$DIR/said")"
    pool term
    # The next one serves another Redis, as if it had always done.
    rm -f "$DIR"/run/journal-* "$DIR"/run/served-*
}
settings='read_timeout = "200ms"; dial_timeout = "300ms"; breaker_max_rest = "100ms"; max_retries = 0;'
routes='{ path = "/page"; ttl = "5m"; }'
conf store="host = \"127.0.0.1\"; port = $PORT3;" redis="$settings" routes="$routes"
says "nobody listens" 'Connection refused'
conf store="socket = \"$DIR/redis.sock\";" redis="$settings" routes="$routes"
says "no socket" 'No such file'
redis start --requirepass secret
says "a password" 'NOAUTH'
conf store="socket = \"$DIR/redis.sock\";" redis="$settings password = \"wrong\";" routes="$routes"
says "a wrong password" 'WRONGPASS'
redis cli -a secret config set requirepass '' > "$DIR/log/noauth" 2>&1
conf store="socket = \"$DIR/redis.sock\";" redis="$settings" routes="$routes"
redis pause
says "a Redis that hangs" 'in time'
redis resume

# And whoever asks a pool that is not there.
asks() {
    if "$LARDERCTL" -f "$DIR/larder.conf" "$@" > "$DIR/said" 2>&1; then
        fail "$*: succeeded"
    else
        is "$*: exit code" $? 3
    fi
}
for what in status 'explain /page' 'purge --url http://a/'; do
    # shellcheck disable=SC2086
    asks $what
    grep -q 'does larder-fcgi run' "$DIR/said" || fail "$what: $(cat "$DIR/said")"
done
pool start -n 1
pool signal STOP
asks --timeout 300ms status
grep -q 'said nothing within 300 ms' "$DIR/said" || fail "$(cat "$DIR/said")"
pool signal CONT
kill -9 $(pool pids)
await pool gone
asks status
grep -q 'which have ended' "$DIR/said" || fail "$(cat "$DIR/said")"
