# A body without a length that goes on and on, on a route with a ttl: those who read it together have all of
# it, what it takes of the disk is bounded, and one who does not read keeps nobody waiting.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case
. crowd

site -n 1 cache='max_object = "1M";' coalesce='wait = "1s";' routes='{ path = "/**"; ttl = "5m"; }'

spools() {
    find "/proc/$(pool pids)/fd" -lname '*(deleted)' -exec stat -L -c %s {} + | sort -n | tail -n 1
}
has() {
    test "$(wc -c < "$1")" -ge "$2"
}

page='/large?size=200000000&framing=chunked&gate=large&midgate=half'
crowd large 3 "$page"
backend saw GET "$page" 1
await waiting 2
backend open large
for i in 1 2 3; do
    await -t 60 has "$DIR/large.$i.body" 99000000
done
backend only GET "$page" 1
spooled=$(spools)
test "$spooled" -gt 0 && test "$spooled" -le 67108864 || fail "$spooled bytes in the file"
backend open half
gathered large
for i in 1 2 3; do
    is "large $i: size" "$(wc -c < "$DIR/large.$i.body")" 200000000
    is "large $i: the same" "$(sum "$DIR/large.$i.body")" "$(sum "$DIR/large.1.body")"
done
rm -f "$DIR"/large.*.body

# One who has stopped reading is left behind.
page='/stopped?size=200000000&framing=chunked&gate=stopped'
crowd stopped 2 "$page"
backend saw GET "$page" 1
await waiting 1
slow=$(head -n 1 "$DIR/stopped.pids")
kill -STOP "$slow"
backend open stopped
await -t 60 has "$DIR/stopped.2.body" 200000000
kill -CONT "$slow"
kill "$slow" || true
wait
rm -f "$DIR"/stopped.*.body

# Nobody joins what has gone on for longer than coalesce.wait: it may be live.
page='/live?size=200000&framing=chunked&midgate=live'
crowd live 1 "$page"
await has "$DIR/live.1.body" 90000
crowd soon 1 "$page"
await has "$DIR/soon.1.body" 90000
backend only GET "$page" 1
sleep 1.1
crowd late 1 "$page"
backend saw GET "$page" 2
backend open live
gathered live
gathered soon
gathered late
