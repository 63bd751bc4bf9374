# What request bodies may hold: one of them, all of them together, and a disk that is full. What is over
# a limit is refused with the status that says so, the backend hears nothing of it, and the log says
# which setting it was.
# needs: lighttpd nginx apache2 mod_proxy_fcgi spawn-fcgi redis-server redis-cli curl python3
. case

sends() {
    responder-request "$DIR/larder.sock" /page "$@"
}
held() {
    ls -l "/proc/$(pool pids)/fd" | grep -c "$DIR/run/.*(deleted)" || true
}
holds() {
    test "$(held)" -eq "$1"
}
site -m nginx -n 1 upstream='body_spool_max = "1M"; body_spool_total = "2M";' \
    routes='{ path = "/**"; ttl = "5m"; }'

# One of them. What is as large as the limit is taken.
head -c 1048577 /dev/zero > "$DIR/large"
head -c 1048576 /dev/zero > "$DIR/most"
words='The request body is larger than this site takes.'
is "too large" "$(sends 1048577 1048577 end)" "413 $words"
is "too large, and nobody had said so" "$(sends - 1048577 end)" "413 $words"
grep -q 'POST /page: answered 413, .*1048576 bytes.*upstream.body_spool_max' "$DIR/log/larder" ||
    fail "the log does not say what was too large"
for mount in nginx lighttpd-spawn-fcgi apache-proxy-fcgi; do
    [ "$mount" = nginx ] || front "$mount" "$PORT1"
    for framing in 'X-Nothing: 1' 'Transfer-Encoding: chunked'; do
        get "/page?sum=1" -H Expect: -H "$framing" --data-binary "@$DIR/large"
        is "$mount: $framing" "$(status) $(tail -n 1 "$DIR/body")" "413 $words"
        is "$mount: the backend was asked" "$(backend count POST '/page?sum=1')" 0
        get "/page?sum=2" -H Expect: -H "$framing" --data-binary "@$DIR/most"
        is "$mount: $framing" "$(status) $(cut -d ' ' -f 1 "$DIR/body")" '200 1048576'
    done
    pid=$(cat "$DIR/run/$mount-$PORT1.pid")
    kill "$pid"
    await sh -c "! listening $PORT1"
done

# All together; when they are gone there is room again.
for n in 1 2; do
    responder-request "$DIR/larder.sock" /page 1000000 950000 stop > /dev/null &
    echo $! >> "$DIR/slow"
done
await holds 2
is "too many" "$(sends 500000 500000 end)" '503 Too many request bodies are on their way.'
grep -q 'answered 503, .*2097152 bytes.*upstream.body_spool_total' "$DIR/log/larder" ||
    fail "the log does not say what was too much"
case $(sends 100 100 end) in
200*) ;;
*) fail "a small one found no room" ;;
esac
kill $(cat "$DIR/slow")
await holds 0
case $(sends 1000000 1000000 end) in
200*) ;;
*) fail "there is no room again" ;;
esac
is "files left" "$(held)" 0
backend only POST /page 2
pool term

# A disk that takes 512 KiB of it.
(
    trap '' XFSZ
    ulimit -f 1024
    pool start -n 1
)
is "a full disk" "$(sends 1000000 1000000 end)" '507 There is no room for the request body.'
is "a full disk, length unknown" "$(sends - 1000000 end)" '507 There is no room for the request body.'
grep -q "answered 507, .*$DIR/run: File too large; make room there.*cache.state_dir" "$DIR/log/larder" ||
    fail "the log does not say what is full"
case $(sends 500000 500000 end) in
200*) ;;
*) fail "what has room was refused" ;;
esac
backend only POST /page 3
