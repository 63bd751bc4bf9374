# A response without an end does not keep a stopping process: after drain_timeout it is broken off,
# and the client sees that; so does one that reads what another fetches. Neither does a client that
# reads slowly what is whole already.
# needs: nginx redis-server redis-cli spawn-fcgi curl
. case
. crowd

site -n 1 -m nginx cache='max_object = "64M";' \
    responder='drain_timeout = "1s"; fetcher_idle = "1s";' routes='{ path = "/hit/**"; ttl = "5m"; }'
page='/endless?size=100000000&drip=50'
shared='/hit/endless?size=60000000&drip=50'
crowd chunked 1 "$page&framing=chunked"
crowd length 1 "$page&framing=length"
crowd leader 1 "$shared&framing=chunked"
crowd leader-length 1 "$shared&framing=length"
clients='chunked length leader leader-length'
for client in $clients; do
    await test -s "$DIR/$client.1.body"
done
crowd reader 1 "$shared&framing=chunked"
crowd reader-length 1 "$shared&framing=length"
clients="$clients reader reader-length"
for client in $clients; do
    await test -s "$DIR/$client.1.body"
done
pool signal TERM
await -t 10 pool gone
for client in $clients; do
    if wait "$(cat "$DIR/$client.pids")"; then
        fail "$client: a cut answer looked whole"
    else
        test $? -ne 28 || fail "$client: the client was left waiting"
    fi
done

# More than the sockets between hold; nothing else is going on.
pool start -n 1
crowd slow 1 '/hit/slow?size=60000000' --limit-rate 50k
redis stored 1
idle() {
    "$LARDERCTL" -f "$DIR/larder.conf" --json status | grep -q '"fetchers": *0'
}
await idle
pool signal TERM
await -t 10 pool gone
kill "$(cat "$DIR/slow.pids")" || fail "the slow client was not slow: the case proves nothing"
