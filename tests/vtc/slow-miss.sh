# Hits do not wait behind misses that wait for the backend, however many and for however long.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site -n 2 responder='workers = 2; max_fetchers = 100;' routes='{ path = "/hit"; ttl = "5m"; }'
gets /hit MISS 'GET /hit #1'
redis stored 1

# More than two processes have fetchers for; the backend answers when it is told to. All that one
# process can wait for at once are waiting then.
"$LOAD" -c 300 -n 300 "$url/slow?gate=go" > "$DIR/log/load.slow" 2>&1 &
slow=$!
backend saw GET '/slow?gate=go' 100
"$LOAD" -c 4 -n 2000 -b same "$url/hit" > "$DIR/log/load" || fail "$(cat "$DIR/log/load")"
is "hits" "$(awk '$1 == "hits" { print $2 }' "$DIR/log/load")" 2000
backend open go
wait "$slow" || fail "$(cat "$DIR/log/load.slow")"
backend only GET '/slow?gate=go' 300
