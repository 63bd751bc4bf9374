# A backend on a Unix socket.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

"$ORIGIN" -u "$DIR/origin.sock" -o "$DIR/log/requests" -p "$DIR/origin.pid"
site url="http+unix:$DIR/origin.sock" routes='{ path = "/**"; ttl = "5m"; }'
gets /page MISS 'GET /page #1'
redis stored 1
gets /page HIT 'GET /page #1'
get '/told?echo=1' -H 'Host: www.example'
grep -q -x "$(printf 'Host: www.example\r')" "$DIR/body"
backend stop
get /gone
is "status" "$(status)" 502
# What is to be looked at is said: with a socket that nobody listens on, and without one.
grep -q 'nobody listens there: does the backend run\|No such file or directory; does the backend run' \
    "$DIR/log/larder" || fail "no advice in the log"
rm -f "$DIR/origin.sock"
get /gone-too
await grep -q 'No such file or directory; does the backend run' "$DIR/log/larder"
