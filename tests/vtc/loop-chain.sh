# Larder in front of Larder is no loop, whatever else the two have in common. What is one is seen: over
# two pools, through a proxy that drops what says so, to our own socket, in a refresh.
# needs: lighttpd nginx redis-server redis-cli spawn-fcgi curl
. case
. crowd

redis start
backend start
routes='{ path = "/short/**"; ttl = "1s"; stale_while_revalidate = "1h"; },
    { path = "/**"; ttl = "5m"; }'

# pool_of NAME SETTING...: a pool of its own directory, on $DIR/NAME.sock.
pool_of() {
    name=$1
    shift
    mkdir -p "$DIR/$name"
    chmod 1777 "$DIR/$name"
    conf file="$name.conf" responder="max_fetchers = 4; runtime_dir = \"$DIR/$name\";" \
        routes="$routes" "$@"
    # `conf` has a runtime_dir of its own.
    sed -i "/runtime_dir = .*run\";/d" "$DIR/$name.conf"
    SOCKET=$DIR/$name.sock pool start -n 1 "$LARDER_FCGI" -f "$DIR/$name.conf"
    cp "$DIR/pool.pids" "$DIR/$name.pids"
}
stop() {
    for name in "$@"; do
        cp "$DIR/$name.pids" "$DIR/pool.pids"
        pool term
        rm "$DIR/$name/counters"
    done
}
# number NAME COUNTER
number() {
    "$LARDERCTL" -f "$DIR/$1.conf" --json stats | tr ',{}' '\n\n\n' |
        sed -n "s/^ *\"$2\" *: *\([0-9]*\).*/\1/p" | head -n 1
}
SOCKET=$DIR/a.sock front lighttpd-spawn-fcgi "$PORT1"
SOCKET=$DIR/b.sock front lighttpd-spawn-fcgi "$PORT2"
inner=http://127.0.0.1:$PORT2

# Copies of one file, on one machine, which share one Redis.
pool_of a url="$inner"
pool_of b
gets /page MISS 'GET /page #1' --max-time 3
await is_hit /page
get '/pass?echo=1' -b 'session=1' -H 'CDN-Loop: other.example; trace="a, b"'
tr -d '\r' < "$DIR/body" | grep -q -x 'CDN-Loop: other.example; trace="a, b", larder-[0-9a-f-]\{21\}, larder-[0-9a-f-]\{21\}' ||
    fail "CDN-Loop: $(cat "$DIR/body")"
vias=$(grep -c '^Via: 1.1 larder-[0-9a-f-]\{21\}' "$DIR/body")
is "Via" "$vias" 2
is "loops" "$(number a loops) $(number b loops)" '0 0'
# It is nothing that Vary selects by.
varied='/varied?h=Vary:CDN-Loop'
get "$varied" -H 'CDN-Loop: one'
await is_hit "$varied"
stop a b

# Around two pools.
pool_of a url="$inner"
pool_of b url="$url"
get /round --max-time 5
is "around two: status" "$(status)" 508
is "requests" "$(number a requests) $(number b requests)" '2 1'
grep -q 'loop: ' "$DIR/log/larder" || fail "no line in the log"
stop a b

# A proxy on the way that drops one of the two fields.
for field in CDN-Loop Via; do
    cat > "$DIR/proxy.conf" << END
worker_processes 1;
pid "$DIR/run/proxy.pid";
error_log "$DIR/log/proxy";
daemon off;
events { }
http {
    access_log off;
    client_body_temp_path "$DIR/run/body";
    proxy_temp_path "$DIR/run/proxied";
    fastcgi_temp_path "$DIR/run/fastcgi";
    scgi_temp_path "$DIR/run/scgi";
    uwsgi_temp_path "$DIR/run/uwsgi";
    server {
        listen 127.0.0.1:$PORT3;
        location / {
            proxy_pass $url;
            proxy_set_header $field "";
        }
    }
}
END
    setsid nginx -c "$DIR/proxy.conf" < /dev/null > "$DIR/log/proxy.out" 2>&1 &
    await listening "$PORT3"
    pool_of a url="http://127.0.0.1:$PORT3"
    get /proxied --max-time 5
    is "without $field: status" "$(status)" 508
    is "without $field: requests" "$(number a requests)" 2
    stop a
    kill "$(cat "$DIR/run/proxy.pid")"
    await sh -c "! listening $PORT3"
done

# Our own socket, where nobody says Via.
pool_of c url="fastcgi+unix:$DIR/a.sock"
stop c
SOCKET=$DIR/a.sock pool start -n 1 "$LARDER_FCGI" -f "$DIR/c.conf"
for how in '' '-I' '-d a=b' '-b session=1' '-HConnection:CDN-Loop'; do
    before=$(number c requests)
    # shellcheck disable=SC2086
    get /own --max-time 5 $how
    is "our own socket: $how: status" "$(status)" 508
    is "our own socket: $how: requests" "$(($(number c requests) - before))" 2
done
pool term

# So many in a row are none that anybody has put there.
pool_of a
chain() {
    seq -s , 10000001 "$((10000000 + $1))" | sed 's/[0-9][0-9]*/larder-000000000000-&/g'
}
get /long -H "CDN-Loop: $(chain 7)"
is "seven" "$(status)" 200
for field in CDN-Loop Via; do
    get /longer -H "$field: $(chain 8 | sed "$([ $field = Via ] && echo 's/larder/1.1 &/g')")"
    is "$field: eight" "$(status)" 508
done
id=$(curl -s "$url/id?echo=1" | sed -n 's/^CDN-Loop: \(larder-[0-9a-f-]*\).*/\1/p')
get /page -H "CDN-Loop: $id"
is "by a visitor" "$(status)" 508
gets /page HIT 'GET /page #1'
"$LARDERCTL" -f "$DIR/a.conf" explain "$url/page" -H "CDN-Loop: $id" > "$DIR/explained"
grep -q '^Next: *BYPASS (loop): .*508' "$DIR/explained" || fail "$(cat "$DIR/explained")"

# What is stored outlives a backend's address that has become wrong.
entries=$(redis entries | wc -l)
gets /short/a MISS 'GET /short/a #1'
redis stored $((entries + 1))
loops=$(number a loops)
sed -i "s|url = \"http.*\";|url = \"$url\";|" "$DIR/a.conf"
kill -HUP "$(xargs < "$DIR/a.pids")"
await grep -q 'read again' "$DIR/log/larder"
sleep 1.1
gets /short/a STALE 'GET /short/a #1'
more() {
    test "$(number a loops)" -gt "$loops"
}
await more
gets /short/a STALE 'GET /short/a #1'
