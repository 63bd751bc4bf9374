# A Redis that hangs is told of a mutation, and says nothing before its time is over: so the mutation is in the
# journal, and when it is refused it is done with. What Redis does of that when it wakes leaves nothing behind.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site -n 2 routes='{ path = "/**"; ttl = "1h"; tags = ["shop"]; }'
registered() {
    calls=$(redis cli info commandstats | sed -n 's/^cmdstat_hsetnx:calls=\([0-9]*\),.*/\1/p')
    test "${calls:-0}" -ge "$1"
}
empty() {
    test "$(redis cli exists larder:gen-mutations)" -eq 0
}

await is_hit /page
# Three mutations, which the backend refuses, beside a Redis that hangs.
refused() {
    redis pause
    clients=
    for i in 1 2 3; do
        curl -sS --max-time 20 -o /dev/null -d '' "$url/page?status=401&i=$i" &
        clients="$clients $!"
    done
    for client in $clients; do
        wait "$client" || fail "no answer beside a Redis that hangs"
    done
}
refused
redis resume

await registered 1
await empty
! grep 'lost their process' "$DIR/log/larder" || fail "a refused mutation counts as one of unknown outcome"
await is_hit /page

# The same where the pool is reloaded before Redis wakes: the new client says what the old one could not.
calls=$(redis cli info commandstats | sed -n 's/^cmdstat_hsetnx:calls=\([0-9]*\),.*/\1/p')
refused
pool signal HUP
reloaded() {
    test "$(grep -c 'read again' "$DIR/log/larder")" -eq 2
}
await reloaded
sleep 1
redis resume
await registered "$((calls + 1))"
await empty
! grep 'lost their process' "$DIR/log/larder" || fail "after a reload a refused mutation counts as one of unknown outcome"
await is_hit /page
