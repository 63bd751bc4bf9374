# As many items as one purge may have, in one request; one more is refused.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

token=0123456789abcdef
site -n 1 admin="token = \"$token\";" routes='{ path = "/page/**"; ttl = "5m"; }'

# batch N [SCHEME AND HOST]: urls of that many pages.
batch() {
    seq "$1" | sed "s|.*|\"${2:-}/page/&\"|" | paste -s -d , | sed 's/.*/{"urls":[&]}/' > "$DIR/order"
    get /.larder/purge -H "X-Larder-Token: $token" -H 'Content-Type: application/json' \
        --data-binary "@$DIR/order"
}
for page in 1 5000 10000 10001; do
    get /page/$page
    await is_hit /page/$page
done
batch 10001
is "10,001: status" "$(status)" 400
grep -q -F 'more than 10000 items' "$DIR/body" || fail "$(cat "$DIR/body")"
await is_hit /page/1
batch 10000 "$url"
is "10,000: status" "$(status)" 200
grep -q -F '"purged":{"urls":10000}' "$DIR/body" || fail "$(cat "$DIR/body")"
cat "$DIR/body"
for page in 1 5000 10000; do
    get /page/$page
    is "/page/$page: X-Cache" "$(field X-Cache)" MISS
done
batch 10000
is "10,000 relative ones: status" "$(status)" 200
cat "$DIR/body"
took=$(sed -n 's/.*"took_ms":\([0-9]*\).*/\1/p' "$DIR/body")
test "$took" -lt 5000 || fail "$took ms"
get /page/10001
case $(field X-Cache) in
HIT | MISS) ;; # URLs share generations
*) fail "/page/10001: $(field X-Cache)" ;;
esac
