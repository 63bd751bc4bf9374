# A backend that says nothing, and a visitor who sends slowly, do not keep a stopping process: it is
# gone when drain_timeout is over, whatever is under way. What has no answer by then gets one that says
# so, and of a change that nobody knows the outcome of nothing is kept.
# needs: apache2 mod_proxy_fcgi redis-server redis-cli spawn-fcgi curl php-fpm
. case
. crowd

drain_ms=1000
# A busy machine, and what has to be told to Redis at the end.
margin_ms=1500

# stops WHAT: SIGTERM, and how long it takes.
stops() {
    begun=$(date +%s%N)
    pool signal TERM
    await -t 30 pool gone
    took_ms=$((($(date +%s%N) - begun) / 1000000))
    echo "$1: $took_ms ms"
    test "$took_ms" -ge "$((drain_ms - 50))" || fail "$1: gone after $took_ms ms: nothing was waited for"
    test "$took_ms" -le "$((drain_ms + margin_ms))" || fail "$1: gone after $took_ms ms only"
}

# each NAME STATUS: what a client got: a status of ours, or none because it was broken off; `any` of a
# failure, where the web server says which.
each() {
    wait "$(cat "$DIR/$1.pids")" && code=0 || code=$?
    test "$code" -ne 28 || fail "$1: the client was left waiting"
    said=$(sed -n 's/^HTTP[^ ]* \([0-9]*\).*/\1/p' "$DIR/$1.1.head" | tail -n 1)
    case $2 in
    any) test "$code" -ne 0 || test "$said" -ge 500 || fail "$1: it looked fine: $said" ;;
    cut) test "$code" -ne 0 || fail "$1: a cut answer looked whole" ;;
    *) is "$1: status" "$said" "$2" ;;
    esac
}

head -c 2000000 /dev/zero > "$DIR/upload"
responder='drain_timeout = "1s";'
routes='{ path = "/short/**"; ttl = "1s"; stale_while_revalidate = "1h"; },
    { path = "/hit/**"; ttl = "5m"; },
    { path = "/php/**"; ttl = "5m"; invalidate = ["*"]; }'
site -n 1 -m apache-proxy-fcgi responder="$responder" routes="$routes" \
    admin='token = "0123456789abcdef";'

# One at a time: none of them hides behind another.
crowd head 1 '/slow?gate=never'
backend saw GET '/slow?gate=never' 1
stops "before the head"
each head 504

pool start -n 1
crowd body 1 '/pass?size=200000&midgate=never'
await test -s "$DIR/body.1.body"
stops "in the body"
each body cut

pool start -n 1
crowd leader 1 '/hit/slow?gate=never'
backend saw GET '/hit/slow?gate=never' 1
crowd waiter 1 '/hit/slow?gate=never'
await waiting 1
stops "a waiter"
each leader 504
each waiter 503

pool start -n 1
get /hit/page
redis stored 1
crowd change 1 '/hit/page?gate=never' -d a=b
backend saw POST '/hit/page?gate=never' 1
stops "a change"
each change 504
is "X-Cache-Invalidate" "$(tr -d '\r' < "$DIR/change.1.head" | sed -n 's/^X-Cache-Invalidate: //p')" unknown

pool start -n 1
: > "$DIR/gates/open"
get '/short/page?gate=open'
redis stored 2
rm "$DIR/gates/open"
sleep 1.1
get '/short/page?gate=open'
is "X-Cache" "$(field X-Cache)" STALE
backend saw GET '/short/page?gate=open' 2
stops "a refresh"

pool start -n 1
crowd sender 1 '/upload?sum=1' --limit-rate 20k -H 'Expect:' --data-binary "@$DIR/upload"
sends() {
    "$LARDERCTL" -f "$DIR/larder.conf" --json status | tr -d ' ' | grep -q '"fetchers":1,"fetchers_idle":0'
}
await sends
stops "a slow sender"
each sender any

# Redis says nothing to a purge that goes over all keys: what it has not got is in the journal.
pool start -n 1
redis pause
crowd purge 1 /.larder/purge -d '{"patterns":["*"]}' -H 'X-Larder-Token: 0123456789abcdef'
purges() {
    "$LARDERCTL" -f "$DIR/larder.conf" --json status | tr -d ' ' | grep -q '"fetchers":1,"fetchers_idle":0'
}
await purges
stops "a purge"
grep -q '"outcome":"journal"' "$DIR/purge.1.body" || fail "a purge: $(cat "$DIR/purge.1.body")"
redis resume

# A web server that connects and says nothing.
pool start -n 1
sleep 30 | curl -s --unix-socket "$DIR/larder.sock" telnet://localhost > "$DIR/log/telnet" &
# The one that listens, and the one that was connected to.
connected() {
    test "$(grep -c "$DIR/larder.sock" /proc/net/unix)" -eq 2
}
await connected
stops "a silent web server"

# All of them, on a backend that speaks FastCGI.
mkdir -p "$DIR/htdocs"
cat > "$DIR/htdocs/index.php" << 'END'
<?php
touch($_SERVER['DOCUMENT_ROOT'] . '/../run/seen-' . $_GET['n']);
if (isset($_GET['begin'])) {
    header('Content-Length: 200000');
    echo str_repeat('x', 100000);
    flush();
}
if (isset($_GET['wait']))
    sleep(60);
END
fpm start -c 6
kill "$(cat "$DIR/run/apache-proxy-fcgi-$PORT1.pid")"
await sh -c "! listening $PORT1"
conf url="$(fpm url)" responder="$responder" routes="$routes"
pool start -n 1
front apache-proxy-fcgi-php "$PORT1"
seen() {
    await test -e "$DIR/run/seen-$1"
}
crowd head 1 '/php/?n=1&wait'
seen 1
crowd waiter 1 '/php/?n=1&wait'
await waiting 1
crowd body 1 '/pass?n=2&begin&wait'
crowd change 1 '/php/?n=3&wait' -d a=b
seen 2
seen 3
await test -s "$DIR/body.1.body"
# Collected before it is registered, and streamed.
crowd sender 1 '/php/?n=4' --limit-rate 20k -H 'Expect:' --data-binary "@$DIR/upload"
crowd streamer 1 '/pass?n=5' --limit-rate 20k -H 'Expect:' --data-binary "@$DIR/upload"
stops "FastCGI"
each head 504
each body cut
each change 504
each sender any
each streamer any
each waiter 503
