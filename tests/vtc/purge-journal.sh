# A purge while Redis is out of reach goes to the journal of the machine, and says so; where mutations
# are to be refused then, it is no success.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

token=0123456789abcdef
routes='{ path = "/**"; ttl = "5m"; tags = ["site"]; }'
settings='invalidate_timeout = "300ms"; budget = "100ms";'
site -n 2 admin="token = \"$token\";" cache="$settings" redis='breaker_max_rest = "100ms";' \
    routes="$routes"

purge() {
    get /.larder/purge -H "X-Larder-Token: $token" -d "$1" --max-time 10
    is "$1: X-Cache-Invalidate" "$(field X-Cache-Invalidate)" "$2"
    is "$1: status" "$(status)" "$3"
}
has() {
    grep -q -F -e "$1" "$DIR/body" || fail "no $1 in $(cat "$DIR/body")"
}
is_empty() {
    test "$(stat -c %s "$DIR"/run/journal-* | sort -u)" = 4096
}

await is_hit /page
redis pause
purge '{"tags": ["site"], "urls": ["/other"]}' journal 200
has '"ok":true,"note":"redis '
has '"purged":{"urls":1,"tags":1},"soft":false,"outcome":"journal"'
grep -q 'error: purge from 127.0.0.1: 1 urls (/other), 1 tags (site): journal in [0-9.]* ms: redis ' \
    "$DIR/log/larder" || fail "not in the log"
gets /page MISS "GET /page #$(($(backend count GET /page) + 1))"
redis resume
await is_empty
gets /page MISS "GET /page #$(($(backend count GET /page) + 1))"
await is_hit /page

# As many as there may be, and all of them are in the journal.
seq 10000 | sed 's|.*|"tag-&"|' | paste -s -d , | sed 's/.*/{"tags":[&,"site"]}/; s/"tag-10000",//' \
    > "$DIR/order"
redis pause
purge "@$DIR/order" journal 200
redis resume
await is_empty
gets /page MISS "GET /page #$(($(backend count GET /page) + 1))"

conf admin="token = \"$token\";" cache="$settings on_unreachable = \"refuse\";" \
    redis='breaker_max_rest = "100ms";' routes="$routes"
pool signal HUP
reloaded() {
    test "$(grep -c 'read again' "$DIR/log/larder")" -eq 2
}
await reloaded
await is_hit /page
redis pause
purge '{"tags": ["site"]}' journal 503
has '"ok":false,"error":"redis '
redis resume
await is_empty
gets /page MISS "GET /page #$(($(backend count GET /page) + 1))"
