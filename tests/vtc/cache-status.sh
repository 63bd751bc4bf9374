# Every answer says what the cache did, and why: X-Cache in a word, Cache-Status (RFC 9211) exactly.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

routes='
    { path = "/never/**"; client_cache = "never"; },
    { path = "/none/**"; resource = "x"; },
    { path = "/user/**"; ttl = "5m"; user = "REMOTE_USER"; },
    { path = "/key/**"; ttl = "5m"; resource = "thing"; },
    { path = "/page/**"; ttl = "5m"; }'
site cache='max_object = "1000";' routes="$routes"

# says TARGET X-CACHE STATUS [CURL ARGUMENT...]; the key is left out
says() {
    target=$1 wanted=$2 said=$3
    shift 3
    get "$target" "$@"
    is "$target: X-Cache" "$(field X-Cache)" "$wanted"
    is "$target: Cache-Status" "$(field Cache-Status | sed 's/; key=.*//')" "$said"
}
says /page/a MISS 'Larder; fwd=uri-miss; fwd-status=200; ttl=300; stored'
await is_hit /page/a
get /page/a
case $(field Cache-Status) in
'Larder; hit; ttl=300; key="response:'* | 'Larder; hit; ttl=29'?'; key="response:'*) ;;
*) fail "a hit says $(field Cache-Status)" ;;
esac
get /key/a
is "key" "$(field Cache-Status | sed 's/.*key="\([^"]*\):[0-9a-f]\{64\}"$/\1/')" thing:response

says /page/a BYPASS 'Larder; fwd=method; fwd-status=200; detail=method' -X POST -d ''
says /page/a BYPASS 'Larder; fwd=bypass; fwd-status=200; detail=cookie-in-request' -b a=b
says /page/a BYPASS 'Larder; fwd=bypass; fwd-status=200; detail=authorization-in-request' -u a:b
says /page/a BYPASS 'Larder; fwd=request; fwd-status=200; detail=no-store-in-request' \
    -H 'Cache-Control: no-store'
says /page/a BYPASS 'Larder; fwd=request; fwd-status=200; detail=precondition-in-request' \
    -H 'If-Match: *'
says /never/a BYPASS 'Larder; fwd=bypass; fwd-status=200; detail=route-never'
says /none/a BYPASS 'Larder; fwd=bypass; fwd-status=200; detail=route-no-ttl'
says /elsewhere BYPASS 'Larder; fwd=bypass; fwd-status=200; detail=no-route'
says /user/a BYPASS 'Larder; fwd=bypass; fwd-status=200; detail=no-user'
says '/page/b?h=Set-Cookie:a=b' MISS 'Larder; fwd=uri-miss; fwd-status=200; detail=set-cookie'
says '/page/b?h=Cache-Control:private' MISS 'Larder; fwd=uri-miss; fwd-status=200; detail=private'
says '/page/b?size=1001' MISS 'Larder; fwd=uri-miss; fwd-status=200; detail=too-large'
says '/page/b?status=500' MISS 'Larder; fwd=uri-miss; fwd-status=500; detail=error-status'
says '/page/b?h=Vary:*' MISS 'Larder; fwd=uri-miss; fwd-status=200; detail=vary-star'

# A mutation has been here: there is one, but it does not count.
get /page/c
await is_hit /page/c
get /page/c -X POST -d ''
says /page/c MISS 'Larder; fwd=miss; fwd-status=200; ttl=300; stored'

# What somebody behind us said stays, and stands first.
get '/page/d?h=Cache-Status:Origin;%20hit'
is "Cache-Status" "$(field Cache-Status | sed 's/; key=.*//')" 'Origin; hit
Larder; fwd=uri-miss; fwd-status=200; ttl=300; stored'
await is_hit '/page/d?h=Cache-Status:Origin;%20hit'
get '/page/d?h=Cache-Status:Origin;%20hit'
is "Cache-Status" "$(field Cache-Status | sed 's/; ttl=.*//')" 'Origin; hit
Larder; hit'

# An error of ours.
conf routes="$routes" url=http://127.0.0.1:1
pool signal HUP
await sh -c "curl -s -o /dev/null -w '%{http_code}' -X POST -d '' $url/page/e | grep -q 502"
says /page/e MISS 'Larder; fwd=uri-miss; detail=uri-miss'

# Less of it, or none.
conf cache='cache_status = "short";' routes="$routes"
pool signal HUP
short() {
    get "/page/a$1"
    test "$(field Cache-Status | sed 's/ttl=[0-9]*/ttl=N/')" = 'Larder; hit; ttl=N'
}
await is_hit /page/a
await short
conf cache='cache_status = "off";' routes="$routes"
pool signal HUP
off() {
    get /page/a
    test -z "$(field Cache-Status)"
}
await off
is "X-Cache" "$(field X-Cache)" HIT
conf cache='enabled = false;' routes="$routes"
pool signal HUP
disabled() {
    get /page/a
    test "$(field X-Cache)" = DISABLED
}
await disabled
is "Cache-Status" "$(field Cache-Status)" 'Larder; fwd=bypass; fwd-status=200; detail=disabled'
