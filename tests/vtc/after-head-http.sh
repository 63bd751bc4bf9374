# A backend that speaks HTTP changes something after the head of its answer: what is fetched between the
# two must not outlive the end of the answer, whichever web server passes it on, and whether the answer
# ends or breaks off.
# needs: lighttpd apache2 mod_proxy_fcgi nginx spawn-fcgi redis-server redis-cli curl
. case

site -n 2 routes='
    { path = "/page/{name}"; ttl = "1h"; tags = ["{name}"]; },
    { path = "/async/{name}"; methods = ["POST"]; tags = ["{name}"]; invalidate = ["x:*"]; async = true; },
    { path = "/import/{name}"; methods = ["POST"]; tags = ["{name}"]; }'
front apache-proxy-fcgi "$PORT2"
front nginx "$PORT3"

# What the last fetch of the page has brought.
is_page() {
    get "$page"
    test "$(cat "$DIR/body")" = "GET $page #$1"
}

for port in "$PORT1" "$PORT2" "$PORT3"; do
    for how in framing=chunked framing=length 'framing=chunked&cut=30000'; do
        url=http://127.0.0.1:$port
        name=$port-$(echo "$how" | tr -c -d 'a-z\n')
        page=/page/$name
        gets "$page" MISS "GET $page #1"
        await is_hit "$url$page"
        curl -sS --max-time 60 -o "$DIR/import" -d '' "$url/import/$name?size=40000&midgate=$name&$how" &
        import=$!
        # Dropped with the head, and stored anew.
        await is_page 2
        await is_hit "$url$page"
        gets "$page" HIT "GET $page #2"
        backend open "$name"
        wait "$import" || test "${how#*cut}" != "$how" || fail "$name: curl said $?"
        is_page 3 || fail "$name: after the end: $(cat "$DIR/body")"
    done
done

# Nobody has the last byte before it is dropped, also where the length says which that is.
url=http://127.0.0.1:$PORT1
rm "$DIR/import"
curl -sS --max-time 60 -o "$DIR/import" -d '' "$url/import/last?size=40000&midgate=last" &
import=$!
await test -s "$DIR/import"
redis pause
backend open last
sleep 0.5
test "$(wc -c < "$DIR/import")" -lt 40000 || fail "the answer was whole while Redis was stopped"
redis resume
wait "$import" || fail "curl said $?"
is "last: size" "$(wc -c < "$DIR/import")" 40000

# With async it is dropped behind the answer: behind its head, and behind its end.
page=/page/async
await is_hit "$url$page"
curl -sS --max-time 60 -o "$DIR/import" -d '' "$url/async/async?size=40000&midgate=async&framing=chunked" &
import=$!
await is_page 2
await is_hit "$url$page"
backend open async
wait "$import" || fail "curl said $?"
await is_page 3
