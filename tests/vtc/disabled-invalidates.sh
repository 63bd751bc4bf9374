# enabled = false on one machine: it serves and stores nothing, but what is changed or purged by way of it is
# gone on the others.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case
. two-pools

two_pools admin='token = "0123456789abcdef";' routes='{ path = "/**"; ttl = "5m"; tags = ["shop"]; }'
conf cache='enabled = false;' admin='token = "0123456789abcdef";' \
    routes='{ path = "/**"; ttl = "5m"; tags = ["shop"]; }'
kill $second
SOCKET=$DIR/b.sock pool start -n 1

await is_hit /page
curl -sS -o /dev/null -D "$DIR/head" "$other/page"
is "X-Cache where it is switched off" "$(field X-Cache)" DISABLED

curl -sS -o /dev/null -D "$DIR/head" -d '' "$other/page?gate=slow" &
mutation=$!
backend saw POST '/page?gate=slow' 1
redis cli hvals larder:gen-mutations | grep -qx tag:shop || fail "it is not registered"
backend open slow
wait "$mutation"
is "X-Cache-Invalidate" "$(field X-Cache-Invalidate)" done
get /page
is "after a change there: X-Cache" "$(field X-Cache)" MISS
await is_hit /page
curl -sS -o "$DIR/body" -d '{"tags":["shop"]}' -H 'X-Larder-Token: 0123456789abcdef' "$other/.larder/purge"
get /page
is "after a purge there: X-Cache" "$(field X-Cache)" MISS
