# Purging over HTTP: each kind of it, hard and soft, and what it must leave alone.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

token=0123456789abcdef
site -n 2 admin="token = \"$token\";" routes='
    { path = "/tagged/{name}"; ttl = "5m"; tags = ["page-{name}"]; cookies = { ignore = ["*"]; }; },
    { path = "/deep/**"; ttl = "5m"; directory_tags = 3; },
    { path = "/session/**"; ttl = "5m"; resource = "session"; },
    { path = "/**"; ttl = "5m"; query = { ignore = ["utm_*"]; }; stale_while_revalidate = "1h"; }'

# fill TARGET [CURL ARGUMENT...]: it is in the cache.
fill() {
    target=$1
    shift
    get "$target" "$@"
    await hits "$target" "$@"
}
hits() {
    curl -s -o /dev/null -D - "$@" "$url$target" | grep -q -i '^x-cache: hit'
}
# from X-CACHE TARGET [CURL ARGUMENT...]
from() {
    wanted=$1 target=$2
    shift 2
    get "$target" "$@"
    is "$target $*: X-Cache" "$(field X-Cache)" "$wanted"
}
# purge BODY: 200, and what is answered is in $DIR/body.
purge() {
    get /.larder/purge -H "Authorization: Bearer $token" -H 'Content-Type: application/json' -d "$@"
    is "purge $1: status" "$(status)" 200
    is "purge $1: X-Cache-Invalidate" "$(field X-Cache-Invalidate)" done
    is "purge $1: type" "$(field Content-Type)" application/json
    is "purge $1: Cache-Control" "$(field Cache-Control)" no-store
    grep -q '"ok":true' "$DIR/body" || fail "$(cat "$DIR/body")"
}
says() {
    grep -q -F "$1" "$DIR/body" || fail "no $1 in $(cat "$DIR/body")"
}

# By URL: of this host, or of the one that is named; the parameters that are not in the key do not
# count, a fragment of the target does.
for page in /a /b '/a?x=1'; do
    fill "$page" -H 'Host: shop.example'
done
fill /a -H 'Host: other.example'
purge '{"urls": ["/a?utm_source=x"]}' -H 'Host: shop.example'
says '"purged":{"urls":1},"soft":false,"outcome":"done","took_ms":'
from MISS /a -H 'Host: shop.example'
from HIT /b -H 'Host: shop.example'
from HIT '/a?x=1' -H 'Host: shop.example'
from HIT /a -H 'Host: other.example'
purge '{"url": "http://other.example/a"}'
from MISS /a -H 'Host: other.example'
purge '{"urls": ["http://SHOP.example:80/b", "http://shop.example/a?x=1"]}'
says '"urls":2'
from MISS /b -H 'Host: shop.example'
from MISS '/a?x=1' -H 'Host: shop.example'

# By tag: of the route, and of the response; DELETE with a query says the same.
fill /tagged/one
fill /tagged/two
fill '/keyed?h=Surrogate-Key:product-7%20product-8'
purge '{"tags": ["page-one"]}'
from MISS /tagged/one
from HIT /tagged/two
get '/.larder/purge?tag=product-8&tag=page-two' -X DELETE -H "X-Larder-Token: $token"
is "status" "$(status)" 200
says '"purged":{"tags":2}'
from MISS '/keyed?h=Surrogate-Key:product-7%20product-8'
from MISS /tagged/two

# By group, which belongs to an origin.
grouped='/grouped?h=Cache-Groups:%22a%20b%22'
fill "$grouped" -H 'Host: shop.example'
fill "$grouped" -H 'Host: other.example'
purge '{"groups": ["a b"]}' -H 'Host: shop.example'
from MISS "$grouped" -H 'Host: shop.example'
from HIT "$grouped" -H 'Host: other.example'
purge '{"groups": ["a b"], "origin": "http://other.example"}'
from MISS "$grouped" -H 'Host: other.example'

# By directory, whatever the spelling of a path in it.
for page in /deep/x/1 /deep/x/y/2 /deep/z /deep/%78/3; do
    fill "$page"
done
fill /deep/x/1 -H 'Host: other.example'
purge '{"prefix": "/deep/x/"}'
says '"prefixes":1'
from MISS /deep/x/1
from MISS /deep/x/y/2
from MISS /deep/%78/3
from HIT /deep/z
from HIT /deep/x/1 -H 'Host: other.example'

# By pattern: responses, and application values, which are counted.
fill /session/1
fill /b
redis cli set larder:session:1:name x
redis cli set larder:sessions x
purge '{"patterns": ["session:*"]}'
says '"patterns":1'
says '"deleted":2'
from MISS /session/1
from HIT /b
is "values left" "$(redis cli --raw exists larder:session:1:name larder:sessions)" 1

# A soft purge: once more from the cache, and fetched anew behind it.
fill /soft
purge '{"urls": ["/soft"], "soft": true}'
says '"soft":true'
from STALE /soft
await hits /soft
backend only GET /soft 2

# Everything of this namespace's responses, and no value.
fill /z
purge '{"all": true}'
says '"all":true'
from MISS /z
from MISS /deep/z
is "values left" "$(redis cli --raw exists larder:sessions)" 1

# What is fetched meanwhile is not kept.
get '/slow?gate=go' -o "$DIR/slow" &
slow=$!
backend saw GET '/slow?gate=go' 1
purge '{"urls": ["/slow?gate=go"]}'
backend open go
wait "$slow"
from MISS '/slow?gate=go'

# It is logged with where it came from, and counted.
grep -q 'info: purge from 127.0.0.1: 2 urls (http://SHOP.example:80/b ...): done in [0-9.]* ms' \
    "$DIR/log/larder" || fail "$(grep purge "$DIR/log/larder")"
grep -q 'info: soft purge from 127.0.0.1: 1 urls (/soft): done' "$DIR/log/larder" || fail "soft"
purges() {
    "$LARDERCTL" -f "$DIR/larder.conf" --json stats | grep -q '"purges": *12,'
}
await purges
is "what reached the backend" "$(grep -c 'larder/purge' "$DIR/log/requests")" 0
