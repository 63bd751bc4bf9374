# A HEAD that misses is fetched as the GET whose answer can be stored: the client has the head at once,
# and who asks next has a hit.
# needs: lighttpd nginx redis-server redis-cli spawn-fcgi curl
. case
. crowd

site cache='max_object = "1M";' routes='
    { path = "/never/**"; client_cache = "never"; },
    { path = "/**"; ttl = "5m"; variants = 8; }'

# heads TARGET X-CACHE [CURL ARGUMENT...]
heads() {
    target=$1 wanted=$2
    shift 2
    get "$target" -I "$@"
    is "HEAD $target: X-Cache" "$(field X-Cache)" "$wanted"
}
asked() {
    is "$1: HEAD and GET at the backend" "$(backend count HEAD "$1") $(backend count GET "$1")" "$2"
}
busy() {
    "$LARDERCTL" -f "$DIR/larder.conf" --json status | tr -d ' ' |
        grep -o '"busy":[0-9]*' | sort -u | grep -q -x '"busy":0'
}

page='/page?size=1000&h=ETag:%22a%22'
heads "$page" MISS
is "HEAD: Content-Length" "$(field Content-Length)" 1000
await is_hit "$page"
heads "$page" HIT
is "HEAD: Content-Length" "$(field Content-Length)" 1000
get "$page"
is "GET: X-Cache" "$(field X-Cache)" HIT
is "GET: body" "$(wc -c < "$DIR/body")" 1000
asked "$page" '0 1'

# Not after the body, which may take its time, and not only where its length is known.
for framing in length chunked close; do
    slow="/slow?size=1000&midgate=$framing&framing=$framing"
    redis cli flushall > /dev/null
    heads "$slow" MISS --max-time 10
    # Of one that ends where the connection does it is stored at once that it is none to store.
    [ $framing = close ] || redis count 0 || fail "it is stored before its end"
    backend open "$framing"
    [ $framing != close ] || continue
    await is_hit "$slow"
    asked "$slow" '0 1'
done

# With conditions of its own, and a Range, which means nothing here.
heads '/condition?size=10&h=ETag:%22a%22' MISS -H 'If-None-Match: "a"'
is "a condition: status" "$(status)" 304
await is_hit '/condition?size=10&h=ETag:%22a%22'
heads '/range?size=10' MISS -H 'Range: bytes=0-1'
is "a range: status" "$(status) $(field Content-Length)" '200 10'
await is_hit '/range?size=10'
heads '/vary?size=10&h=Vary:Accept-Language' MISS -H 'Accept-Language: de'
is_variant() {
    get '/vary?size=10&h=Vary:Accept-Language' -H 'Accept-Language: de'
    test "$(field X-Cache)" = HIT
}
await is_variant
heads '/empty?size=0' MISS
await is_hit '/empty?size=0'
heads '/gone?status=404&size=10&h=Cache-Control:max-age=60' MISS
is "404: status" "$(status)" 404
await is_hit '/gone?status=404&size=10&h=Cache-Control:max-age=60'

# What is not to be stored, or too large, is not read to its end.
for target in '/nostore?size=100000&midgate=never&h=Cache-Control:no-store' \
    '/large?size=2000000&midgate=never' \
    '/cookie?size=100000&midgate=never&framing=chunked&h=Set-Cookie:a=b'; do
    heads "$target" MISS --max-time 10 -A ""
    await busy
    asked "$target" '0 1'
    heads "$target" MISS --max-time 10 -A ""
    asked "$target" '0 2'
done
heads '/endless?size=4000000&framing=chunked' MISS
await busy
heads '/endless?size=4000000&framing=chunked' MISS
heads '/broken?size=1000&cut=10' MISS
await busy
heads '/broken?size=1000&cut=10' MISS

# Where nothing can come of it, it stays a HEAD: nothing is cached, or is known not to be.
heads '/never/page' BYPASS
asked /never/page '1 0'
heads /bypass BYPASS -H 'Cookie: a=b'
asked /bypass '1 0'
heads /conditional BYPASS -H 'If-Match: "a"'
asked /conditional '1 0'
mark='/mark?gate=mark&h=Cache-Control:no-store'
crowd first 1 "$mark"
backend saw GET "$mark" 1
crowd second 1 "$mark"
await waiting 1
backend open mark
gathered first
gathered second
seen=$(backend count GET "$mark")
heads "$mark" MISS
asked "$mark" "1 $seen"

# One fetch for a HEAD and the GETs that come while it is under way, and for HEADs alone.
both='/both?gate=both'
crowd lead 1 "$both" -I
backend saw GET "$both" 1
crowd pages 3 "$both"
crowd others 2 "$both" -I
await waiting 5
backend open both
gathered lead
gathered pages
gathered others
all pages "GET $both #1"
asked "$both" '0 1'

# A client that goes away before it has an answer takes its fetch with it, but not other people's.
# nginx tells us at once that it has gone.
front nginx "$PORT2"
# On the connection that nginx keeps the next request is answered while the body is still to come.
nginx=http://127.0.0.1:$PORT2
for i in 1 2 3; do
    curl -sS --max-time 10 -I "$nginx/held$i?size=1000&midgate=held" > /dev/null || fail "held $i"
    curl -sS --max-time 10 "$nginx/beside$i" > /dev/null || fail "beside $i"
done
backend open held
await is_hit "$nginx/held3?size=1000&midgate=held"

alone='/alone?gate=alone'
crowd left 1 "$nginx$alone" -I
backend saw GET "$alone" 1
kill "$(cat "$DIR/left.pids")"
await busy
both='/gone?gate=gone'
crowd left 1 "$nginx$both" -I -H "Host: 127.0.0.1:$PORT1"
backend saw GET "$both" 1
crowd stays 1 "$both"
await waiting 1
kill "$(cat "$DIR/left.pids")"
backend open gone
gathered stays
all stays "GET $both #1"
asked "$both" '0 1'

# A HEAD to what is stale brings the page as well.
stale='/stale?size=10&h=Cache-Control:max-age=1,stale-while-revalidate=60'
heads "$stale" MISS
await is_hit "$stale"
is_stale() {
    get "$stale" -I
    test "$(field X-Cache)" = STALE
}
await is_stale
await is_hit "$stale"
is "HEAD at the backend" "$(backend count HEAD "$stale")" 0

# Without Redis nothing could be stored.
redis stop
heads /without MISS
is "without Redis: status" "$(status)" 200
asked /without '1 0'
