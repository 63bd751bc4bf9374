# PURGE while the configuration has no token: refused by Larder, on one line in the log for all of
# them, whatever comes; no backend gets it. As MediaWiki sends it: absolute-form, thousands of them.
# needs: apache2 mod_proxy mod_proxy_fcgi redis-server redis-cli spawn-fcgi curl
. case

routes='{ path = "/**"; ttl = "5m"; }'
site -n 3 -m apache-proxy-fcgi routes="$routes"

get /a -X PURGE
is "status" "$(status)" 405
is "Allow" "$(field Allow)" 'GET, HEAD'
grep -q -F '"error":"purging is off: set token or token_file of admin in larder.conf' "$DIR/body" ||
    fail "$(cat "$DIR/body")"
for path in /.larder/purge //.larder/purge /.larder/other; do
    get "$path" --path-as-is -d '{"all":true}' -H 'X-Larder-Token: 0123456789abcdef'
    is "$path: status" "$(status)" 404
    grep -q -F 'purging is off' "$DIR/body" || fail "$path: $(cat "$DIR/body")"
done

# In the form of a proxy request, and in a burst.
curl -sS --max-time 60 -X PURGE -o /dev/null --proxy "$url" "http://wiki.example/wiki/[1-600]" \
    -w '%{http_code}\n' > "$DIR/statuses" || fail "curl said $?"
is "statuses" "$(sort "$DIR/statuses" | uniq -c | xargs)" '600 405'
is "PURGE at the backend" "$(grep -c '^PURGE\|larder' "$DIR/log/requests" || true)" 0
is "lines in the log" "$(grep -c 'purging is off' "$DIR/log/larder")" 1
grep -q 'warning: PURGE /a from 127.0.0.1 refused with 405 (0 before it): purging is off; set token' \
    "$DIR/log/larder" || fail "$(grep 'purging is off' "$DIR/log/larder")"
counted() {
    "$LARDERCTL" -f "$DIR/larder.conf" --json stats | grep -q '"purges_refused": *604,'
}
await counted

# Methods of other caches are the backend's while Larder has none.
get /a -X BAN
is "BAN: status" "$(status)" 200
is "BAN at the backend" "$(backend count BAN /a)" 1
