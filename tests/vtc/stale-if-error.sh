# A page that is out of date is better than none, for a while, and unless the backend says otherwise.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site upstream='connect_timeout = "1s"; timeout = "1s";' routes='
    { path = "/route/**"; ttl = "1s"; stale_if_error = "1m"; },
    { path = "/brief/**"; ttl = "1s"; stale_if_error = "1s"; },
    { path = "/**"; ttl = "1s"; stale_if_error = "0s"; }'

is_stored() {
    test "$(redis cli exists "$1")" -eq 1
}
stale() {
    gets "$1" MISS "GET $1 #1"
    await is_stored "larder:$(field Cache-Status | sed 's/.*key="\(.*\)".*/\1/')"
}
# The one from the store, and the reason.
stands_in() {
    get "$@"
    is "$1: status" "$(status)" 200
    is "$1: X-Cache" "$(field X-Cache)" STALE
    is "$1: body" "$(cat "$DIR/body")" "GET $1 #1"
    case $(field Cache-Status) in
    'Larder; hit; fwd=stale;'*'detail=backend-failed; '*) ;;
    *) fail "$1: Cache-Status is $(field Cache-Status)" ;;
    esac
}
fails() {
    get "$@"
    is "$1: status" "$(status)" "$failure"
    is "$1: X-Cache" "$(field X-Cache)" "$cache"
}

stale /route/page
stale /brief/page
stale /page
stale '/page?h=Cache-Control:max-age=1,stale-if-error=60'
stale '/route/page?h=Cache-Control:max-age=1,must-revalidate&h=ETag:%22a%22'
stale '/route/page?h=Cache-Control:max-age=1,proxy-revalidate&h=ETag:%22a%22'
stale '/route/page?h=Cache-Control:s-maxage=1&h=ETag:%22a%22'
stale '/route/page?h=Cache-Control:s-maxage=1,stale-if-error=60'
sleep 2.2

backend stop
stands_in /route/page
stands_in '/page?h=Cache-Control:max-age=1,stale-if-error=60'
stands_in '/route/page?h=Cache-Control:s-maxage=1,stale-if-error=60'
failure=502 cache=MISS
fails /page
fails /brief/page
fails '/route/page?h=Cache-Control:max-age=1,must-revalidate&h=ETag:%22a%22'
fails '/route/page?h=Cache-Control:max-age=1,proxy-revalidate&h=ETag:%22a%22'
fails '/route/page?h=Cache-Control:s-maxage=1&h=ETag:%22a%22'
# By the client's own word; the store has it no longer where nobody else wanted it.
stands_in /route/page -H 'Cache-Control: stale-if-error=60'

# Too slow, broken off before the head, an error: each as good as down.
backend start
for how in gate=never hangup=1 status=500 status=502 status=503 status=504; do
    stale "/route/later?$how&after=1"
done
stale '/route/wrong?status=501&after=1'
sleep 1.2
for how in gate=never hangup=1 status=500 status=502 status=503 status=504; do
    stands_in "/route/later?$how&after=1"
done
failure=501
fails '/route/wrong?status=501&after=1'

# Without leave the failure itself goes out.
stale '/later?status=503&after=1'
sleep 1.2
failure=503
fails '/later?status=503&after=1'
is "the answer's own Cache-Status" "$(field Cache-Status | sed 's/; key=.*//')" \
    'Larder; fwd=uri-miss; fwd-status=503; detail=error-status'
