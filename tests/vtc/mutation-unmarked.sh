# A route with mark = false: what is sent to it keeps nobody from what is stored, and what it has changed
# is gone when it is answered, all the same.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site -n 2 upstream='timeout = "4s";' routes='
    { path = "/change"; methods = ["POST"]; tags = ["site"]; mark = false; },
    { path = "/page/**"; methods = ["GET"]; ttl = "5m"; tags = ["site"]; },
    { path = "/**"; }'

from() {
    get "$2"
    is "$2: X-Cache" "$(field X-Cache)" "$1"
}
detail() {
    field Cache-Status | sed -n 's/.*detail=\([a-z-]*\).*/\1/p'
}
fill() {
    get "$1"
    await is_hit "$1"
}

# While it is under way everything is used, and stored.
fill /page/1
curl -sS -o /dev/null -d '' "$url/change?gate=first" &
mutation=$!
backend saw POST '/change?gate=first' 1
from HIT /page/1
fill /page/2
# What is being fetched may be from before the change.
curl -sS -o /dev/null "$url/page/3?gate=third" &
fetch=$!
backend saw GET '/page/3?gate=third' 1
backend open first
wait "$mutation"
for page in /page/1 /page/2; do
    from MISS "$page"
    await is_hit "$page"
done
backend open third
wait "$fetch"
from MISS '/page/3?gate=third'

# What has failed has changed nothing.
fill /page/1
get '/change?status=403' -d ''
from HIT /page/1

# Where nobody knows what it has changed, or whether it still will, nothing is used until it must have.
curl -sS -o /dev/null -d '' "$url/change?gate=never" || true
from MISS /page/1
is "detail" "$(detail)" changing
