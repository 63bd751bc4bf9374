# A backend address that leads back to the same web server: each request comes back once and is
# answered 508 then, behind every web server, whatever it is. Nothing of it is stored.
# needs: lighttpd apache2 mod_proxy_fcgi mod_fcgid nginx redis-server redis-cli spawn-fcgi curl
. case
. crowd

routes='{ path = "/apart/**"; ttl = "5m"; coalesce = false; ttl_by_status = ["508 5m"]; },
    { path = "/**"; ttl = "5m"; ttl_by_status = ["508 5m"]; error_statuses = "rfc"; tags = ["all"]; }'
redis start

requests() {
    counter requests
}

# came N: so many requests have come since the last time, and half of them came back.
before=0 loops=0
came() {
    after=$(requests)
    is "$mount: requests for $what" "$((after - before))" "$1"
    before=$after
    after=$(counter loops)
    is "$mount: of which came back" "$((after - loops))" "$((${1} / 2))"
    loops=$after
}

# loops TARGET [CURL ARGUMENT...]: it is answered 508 at once.
is_looped() {
    what="$*"
    get "$@" --max-time 5
    is "$mount: $what: status" "$(status)" 508
    is "$mount: $what: Cache-Control" "$(field Cache-Control)" no-store
    came 2
}

for mount in lighttpd-spawn-fcgi apache-proxy-fcgi apache-mod-fcgid nginx; do
    conf url="$url" responder='max_fetchers = 4;' upstream='timeout = "20s";' routes="$routes"
    case $mount in
    apache-mod-fcgid) ;;
    *) pool start -n 2 ;;
    esac
    front "$mount" "$PORT1"
    before=0 loops=0

    is_looped /page
    field Cache-Status | grep -q 'detail=loop' || fail "$mount: Cache-Status: $(field Cache-Status)"
    grep -q 'leads back to this web server' "$DIR/body" || fail "$mount: $(cat "$DIR/body")"
    is_looped /page
    is_looped /page -I
    is_looped /elsewhere -b 'session=1'
    is_looped /form -d 'name=value'
    is_looped /form -d ''
    is_looped /form -X DELETE
    is_looped /page -X OPTIONS
    is_looped /page -X PROPFIND
    is_looped /page -H 'Connection: Upgrade' -H 'Upgrade: websocket' \
        -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
    # However a visitor would hide what is appended to his own.
    is_looped /page -H 'CDN-Loop: other; a="' -H 'Via: 1.1 (x'
    is_looped /page -H 'Connection: CDN-Loop, Via'
    is_looped /page -H 'CDN-Loop: ,,;;, "'
    is_looped /page -H "CDN-Loop: $(head -c 3000 /dev/zero | tr '\0' x)"
    head -c 300000 /dev/urandom > "$DIR/upload"
    what=upload
    get /upload --data-binary "@$DIR/upload" -H 'Expect:' --max-time 20
    is "$mount: upload: status" "$(status)" 508
    came 2

    for page in /crowd /apart/crowd; do
        what="50 for $page"
        crowd many 50 "$page"
        gathered many
        is "$mount: 508s of $what" "$(said many '^HTTP/1.1 508')" 50
        came 100
    done
    redis count 0 || fail "$mount: something was stored: $(redis entries)"

    lines=$(grep -c 'loop: ' "$DIR/log/larder")
    grep -q "loop: .*upstream.url = \"$url\" leads back" "$DIR/log/larder" || fail "$mount: no line in the log"
    test "$lines" -le 30 || fail "$mount: $lines lines for 230 requests"
    "$LARDERCTL" -f "$DIR/larder.conf" explain "$url/page" > "$DIR/explained"
    grep -q "^Loop: .*upstream.url = \"$url\"" "$DIR/explained" || fail "explain: $(cat "$DIR/explained")"

    kill "$(cat "$DIR/run/$mount-$PORT1.pid")"
    await sh -c "! listening $PORT1"
    case $mount in
    apache-mod-fcgid) ;;
    *) pool term ;;
    esac
    rm -f "$DIR/log/larder" "$DIR/run/counters"
    redis cli flushall > "$DIR/log/flush"
done
