# A request body of 50 MB arrives whole, and the responder does not hold it in memory.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

echo 'server.max-request-size = 100000' > "$DIR/front.extra"
site
head -c 50000000 /dev/urandom > "$DIR/upload"
get '/upload?sum=1' -H 'Expect:' -T "$DIR/upload"
is "status" "$(status)" 200
is "what arrived" "$(cat "$DIR/body")" "50000000 $(sum "$DIR/upload")"
backend only PUT '/upload?sum=1' 1

get '/upload?sum=1' -H 'Expect:' -H 'Transfer-Encoding: chunked' -T "$DIR/upload"
is "what arrived" "$(cat "$DIR/body")" "50000000 $(sum "$DIR/upload")"

for pid in $(pool pids); do
    peak_kb=$(awk '/^VmHWM/ { print $2 }' "/proc/$pid/status")
    # A sanitizer's shadow counts as well.
    if ! ldd "$LARDER_FCGI" | grep -q -e asan -e tsan; then
        test "$peak_kb" -lt 40000 || fail "the responder grew to $peak_kb KiB"
    fi
done
