# An entry lives as long as its route says, or as long as the backend says.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site routes='
    { path = "/kept/**"; ttl = "5m"; },
    { path = "/**"; ttl = "5m"; stale_if_error = "0s"; }'
lives() {
    get "$1"
    redis stored 1
    ttl=$(redis cli ttl "$(redis entries)")
    test "$ttl" -gt "$2" && test "$ttl" -le "$3" || fail "$1 lives for $ttl s"
    redis cli del "$(redis entries)" > /dev/null
}
lives /page 290 300
lives '/page?h=Cache-Control:max-age=60' 50 60
lives '/page?h=Cache-Control:max-age=60,s-maxage=100' 90 100
lives '/page?h=Cache-Control:max-age=100&h=Age:40' 50 60

# When it is over it is over.
get '/short?h=Cache-Control:max-age=1'
is "X-Cache" "$(field X-Cache)" MISS
redis stored 1
await redis count 0
gets '/short?h=Cache-Control:max-age=1' MISS 'GET /short?h=Cache-Control:max-age=1 #2'

# Past its time it is kept for as long as it may stand in for a backend that fails: 10 minutes unless
# the route says otherwise.
lives /kept/page 890 900
