# An application that names and purges by itself what its pages show, and what Larder does where it has
# not: a page without tags of its own has the route's default_tag, and a mutation drops the tags of its
# route unless its answer says "Larder-Purge: done".
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site admin='token = "0123456789abcdef";' routes='
    { name = "change"; path = "/change"; methods = ["POST"]; tags = ["site"]; invalidate = ["shop:*"]; },
    { name = "api"; path = "/**"; parameters = ["rest?route*=/v2/*", " *rest?route*=/v2/*"]; methods = ["POST"];
      tags = ["site"]; },
    { name = "api-read"; path = "/**"; parameters = ["rest?route*", " *rest?route*"]; client_cache = "never"; },
    { path = "/shop/**"; resource = "shop"; ttl = "5m"; },
    { name = "page"; path = "/**"; methods = ["GET"]; ttl = "5m"; tags = ["site"];
      default_tag = "untagged"; }'

fill() {
    for page in "$@"; do
        get "$page"
        await is_hit "$page"
    done
}
from() {
    wanted=$1
    shift
    for page in "$@"; do
        get "$page"
        is "$page: X-Cache" "$(field X-Cache)" "$wanted"
    done
}
purge() {
    get /.larder/purge -H 'X-Larder-Token: 0123456789abcdef' -d "$1"
    is "purge: status" "$(status)" 200
}
plain=/plain
tagged='/tagged?h=Surrogate-Key:product-7'
grouped='/grouped?h=Cache-Groups:%22offers%22'
all="$plain $tagged $grouped"

# A page that names no tag has the default one, and one that does has not.
# shellcheck disable=SC2086
fill $all
purge '{"tags": ["untagged"]}'
from MISS "$plain"
from HIT "$tagged" "$grouped"
fill "$plain"
purge '{"tags": ["product-7"]}'
from MISS "$tagged"
from HIT "$plain"
fill "$tagged"
# It is softly stale as well, and as good as new after that.
purge '{"tags": ["untagged"], "soft": true}'
from HIT "$tagged"
get "$plain"
case $(field X-Cache) in
HIT) fail "a page that was purged softly is as fresh as before" ;;
esac
fill "$plain"
# What all of them have drops all of them.
purge '{"tags": ["site"]}'
# shellcheck disable=SC2086
from MISS $all
# The tag need not be known to Redis any more.
# shellcheck disable=SC2086
fill $all
redis cli --raw unlink larder:gen:tag:untagged > /dev/null
from HIT "$tagged"
from MISS "$plain"

# A mutation drops what its route names,
# shellcheck disable=SC2086
fill $all /shop/1
get /change -d a=b
is "Larder-Purge" "$(field Larder-Purge)" ''
# shellcheck disable=SC2086
from MISS $all /shop/1
# unless the application says that it has done so by itself. That is not for visitors to see.
# shellcheck disable=SC2086
fill $all /shop/1 /change
get '/change?h=Larder-Purge:done&h=Location:/plain' -d a=b
is "X-Cache-Invalidate" "$(field X-Cache-Invalidate)" 'done'
is "Larder-Purge" "$(field Larder-Purge)" ''
from HIT "$tagged" "$grouped" /shop/1 /change
# What the answer names is dropped in any case, and so is the URL itself.
from MISS "$plain"
fill '/change?h=Larder-Purge:done' "$plain"
get '/change?h=Larder-Purge:done' -d a=b
from MISS '/change?h=Larder-Purge:done'
# shellcheck disable=SC2086
from HIT $all /shop/1
# Any other word is none, and an error is none either way.
get '/change?h=Larder-Purge:tried' -d a=b
# shellcheck disable=SC2086
from MISS $all /shop/1
# shellcheck disable=SC2086
fill $all
get '/change?status=403&h=Larder-Purge:done' -d a=b
# shellcheck disable=SC2086
from HIT $all
# In a page it means nothing, and is not kept.
fill '/said?h=Larder-Purge:done'
from HIT '/said?h=Larder-Purge:done'
is "Larder-Purge" "$(field Larder-Purge)" ''

# A route by the query, in any spelling that PHP reads as the same name.
for query in rest_route=/v2/posts/1 'x=y&rest_route=%2Fv2%2Fposts' rest.route=/v2/x \
    '+rest_route=/v2/x' 'rest%5Froute=/v2/x' 'rest_route%5B%5D=/v2/x' 'rest%5Broute=/v2/x'; do
    # shellcheck disable=SC2086
    fill $all
    get "/index.php?$query" -d a=b
    # shellcheck disable=SC2086
    from MISS $all
    # Reading it is of the other route, which never keeps anything.
    get "/index.php?$query"
    is "$query: X-Cache" "$(field X-Cache)" BYPASS
    is "$query: Cache-Control" "$(field Cache-Control)" 'no-store, no-cache, must-revalidate'
done
# shellcheck disable=SC2086
fill $all
for query in rest_route=/v1/posts x=rest_route=/v2/ restroute=/v2/x rest_route '' ; do
    get "/index.php?$query" -d a=b
done
get /index.php/rest_route=/v2/x -d a=b
# shellcheck disable=SC2086
from HIT $all
"$LARDERCTL" -f "$DIR/larder.conf" explain -m POST "$url/?rest_route=/v2/x" > "$DIR/explained"
grep -q '^Route: .*(api)$' "$DIR/explained" || fail "$(cat "$DIR/explained")"
