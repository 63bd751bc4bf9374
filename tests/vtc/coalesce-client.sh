# Whoever came first and hangs up, or hardly reads, holds up nobody who waits for the same.
# needs: nginx redis-server redis-cli spawn-fcgi curl
. case
. crowd

# nginx with its buffers off: then a slow client is slow for us too.
site -n 1 -m nginx routes='{ path = "/**"; ttl = "1m"; }'

# It hangs up while the others wait for the head.
page='/gone?gate=gone&size=200000'
crowd leader 1 "$page"
backend saw GET "$page" 1
crowd gone 5 "$page"
await waiting 5
kill "$(cat "$DIR/leader.pids")"
wait "$(cat "$DIR/leader.pids")" || true
backend open gone
gathered gone
backend only GET "$page" 1
curl -sS -o "$DIR/straight" "$(backend url)$page"
for i in 1 2 3 4 5; do
    cmp "$DIR/straight" "$DIR/gone.$i.body"
done

# In the middle of the body.
page='/half?midgate=half&size=6000000'
crowd leader 1 "$page"
half_there() {
    test "$(wc -c < "$DIR/$1.body")" -ge 1000000
}
await half_there leader.1
crowd half 5 "$page"
for i in 1 2 3 4 5; do
    await half_there "half.$i"
done
kill "$(cat "$DIR/leader.pids")"
wait "$(cat "$DIR/leader.pids")" || true
backend open half
gathered half
backend only GET "$page" 1
curl -sS -o "$DIR/straight" "$(backend url)$page"
for i in 1 2 3 4 5; do
    cmp "$DIR/straight" "$DIR/half.$i.body"
done
redis stored 2

# It hangs up, and then the backend breaks off: the others are told so.
page='/cut?midgate=cut&size=600000&cut=500000'
crowd leader 1 "$page"
await test -s "$DIR/leader.1.body"
crowd cut 2 "$page"
await test -s "$DIR/cut.1.body"
await test -s "$DIR/cut.2.body"
kill "$(cat "$DIR/leader.pids")"
wait "$(cat "$DIR/leader.pids")" || true
backend open cut
for pid in $(cat "$DIR/cut.pids"); do
    if wait "$pid"; then
        fail "$page looked whole"
    fi
done

# It reads at 50 KB/s: the fetch and the others do not. More than the sockets between hold.
page='/slow?gate=slow&size=7000000'
crowd leader 1 "$page" --limit-rate 50k
backend saw GET "$page" 1
crowd fast 5 "$page"
await waiting 5
backend open slow
gathered fast
redis stored 3
kill -0 "$(cat "$DIR/leader.pids")" || fail "the slow client was not slow: the case proves nothing"
kill "$(cat "$DIR/leader.pids")"
wait "$(cat "$DIR/leader.pids")" || true
backend only GET "$page" 1
gets "$page" HIT "$(cat "$DIR/fast.1.body")"
await waiting 0
