# Clients that download slowly, or not at all, hold up nobody else's hits.
# needs: nginx redis-server redis-cli spawn-fcgi curl
. case

# Otherwise nginx takes them, into a file.
echo 'fastcgi_buffering off;' > "$DIR/front.extra"
site -m nginx responder='workers = 2; max_fetchers = 8;' routes='{ path = "/**"; ttl = "5m"; }'
get '/large?size=8000000'
get '/small?size=1024'
redis stored 2

# More of them than there are workers, and more bytes than the sockets between could hold.
for client in 1 2 3 4 5 6; do
    curl -s -o /dev/null --limit-rate 20k --max-time 60 "$url/large?size=8000000" &
    echo $! >> "$DIR/slow.pids"
done
"$LOAD" -c 4 -n 2000 -b pattern "$url/small?size=1024" > "$DIR/log/load" || fail "$(cat "$DIR/log/load")"
is "hits" "$(awk '$1 == "hits" { print $2 }' "$DIR/log/load")" 2000
for pid in $(cat "$DIR/slow.pids"); do
    kill -0 "$pid" 2> /dev/null || fail "a slow client was not slow: the case proves nothing"
    kill "$pid"
done
# And they hung up, which harms nobody either.
"$LOAD" -c 4 -n 200 -b pattern "$url/small?size=1024" "$url/large?size=8000000" > "$DIR/log/load" ||
    fail "$(cat "$DIR/log/load")"
is "hits" "$(awk '$1 == "hits" { print $2 }' "$DIR/log/load")" 200
