# What of the query string counts: in the key, and at the backend.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site routes='
    { path = "/ignore/**"; ttl = "5m"; query = { ignore = ["utm_*", "fbclid"]; }; },
    { path = "/allow/**"; ttl = "5m"; query = { allow = ["id", "page"]; }; },
    { path = "/pass/**"; ttl = "5m"; query = { bypass = ["preview*"]; ignore = ["*"]; }; },
    { path = "/sort/**"; ttl = "5m"; query = { sort = true; }; },
    { path = "/all/**"; ttl = "5m"; query = { ignore = ["utm_*"]; allow = ["a*", "utm_*"]; sort = true; }; },
    { path = "/**"; ttl = "5m"; }'

# The same page for both; the backend sees the first as $3.
same() {
    get "$1"
    is "$1: X-Cache" "$(field X-Cache)" MISS
    backend only GET "$3" 1
    await is_hit "$1"
    get "$2"
    is "$2 after $1: X-Cache" "$(field X-Cache)" HIT
    backend only GET "$3" 1
}
differ() {
    get "$1"
    await is_hit "$1"
    get "$2"
    is "$2 after $1: X-Cache" "$(field X-Cache)" MISS
}
same '/ignore/a?utm_source=x&id=1&fbclid=y' '/ignore/a?id=1&utm_medium=z' '/ignore/a?id=1'
same '/ignore/b?utm_source=x' /ignore/b /ignore/b
differ '/ignore/c?id=1&x=2' '/ignore/c?x=2&id=1'
differ '/ignore/d?UTM_source=x' '/ignore/d'
same '/allow/a?id=1&session=x&page=2' '/allow/a?id=1&page=2&other' '/allow/a?id=1&page=2'
differ '/allow/b?id=1' '/allow/b?id=2'
differ '/allow/c?id=1&id=2' '/allow/c?id=1'
same '/sort/a?b=2&a=1&a=0' '/sort/a?a=1&b=2&a=0' '/sort/a?a=1&a=0&b=2'
differ '/sort/b?a=1&a=0' '/sort/b?a=0&a=1'
same '/all/a?b=1&ab=2&utm_x=3&aa=4' '/all/a?aa=4&ab=2' '/all/a?aa=4&ab=2'

# One that has a request passed: all of it goes to the backend, and nothing is looked up or kept.
same '/pass/a?x=1' /pass/a /pass/a
for query in 'preview=true' 'x=1&preview_id=7' '%70review'; do
    get "/pass/a?$query"
    is "$query: X-Cache" "$(field X-Cache)" BYPASS
    case $(field Cache-Status) in
    *detail=query-in-request*) ;;
    *) fail "$query: Cache-Status is $(field Cache-Status)" ;;
    esac
    backend only GET "/pass/a?$query" 1
done
"$LARDERCTL" -f "$DIR/larder.conf" explain "$url/pass/a?preview=1" > "$DIR/explained"
grep -q '^Next: *BYPASS (query-in-request): .*query.bypass' "$DIR/explained" ||
    fail "explain says: $(cat "$DIR/explained")"

# Off by default, and nothing is decoded.
differ '/a?utm_source=x' '/a?utm_source=y'
differ '/ignore/e?i%64=1' '/ignore/e?id=1'
differ '/ignore/f?' /ignore/f

# A mutation of the page, however its URL is written, drops what shares its key.
get '/ignore/a?id=1&utm_campaign=post' -X POST -d ''
backend only POST '/ignore/a?id=1&utm_campaign=post' 1
get '/ignore/a?id=1'
is "X-Cache after a mutation" "$(field X-Cache)" MISS
# What passes goes as it came.
get '/ignore/a?utm_source=x&id=1' -b session=1
backend only GET '/ignore/a?utm_source=x&id=1' 1
