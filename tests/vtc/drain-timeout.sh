# A response without an end does not keep a stopping process: after drain_timeout it is broken off,
# and the client sees that.
# needs: nginx redis-server redis-cli spawn-fcgi curl
. case

site -m nginx responder='drain_timeout = "1s";' routes='{ path = "/hit"; ttl = "5m"; }'
page='/endless?size=100000000&drip=50'
curl -sS --max-time 60 -o "$DIR/body.1" "$url$page&framing=chunked" &
client_chunked=$!
curl -sS --max-time 60 -o "$DIR/body.2" "$url$page&framing=length" &
client_length=$!
for body in "$DIR/body.1" "$DIR/body.2"; do
    await test -s "$body"
done
pool signal TERM
await -t 10 pool gone
for client in "$client_chunked" "$client_length"; do
    if wait "$client"; then
        fail "a cut answer looked whole"
    else
        test $? -ne 28 || fail "the client was left waiting"
    fi
done
