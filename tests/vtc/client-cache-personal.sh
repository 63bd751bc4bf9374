# client_cache speaks of what the cache takes for everybody's, and of nothing else.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site cache='max_object = "1M";' routes='
    { path = "/override"; ttl_override = "5m"; client_cache = "2m"; },
    { path = "/open/**"; cache = "rfc"; client_cache = "2m"; },
    { path = "/passed/**"; client_cache = "2m"; },
    { path = "/**"; ttl = "5m"; client_cache = "2m"; query = { bypass = ["preview"]; }; }'

# says WANTED TARGET [CURL ARGUMENT...]: Cache-Control of the answer.
says() {
    wanted=$1
    shift
    get "$@"
    is "$*: Cache-Control" "$(field Cache-Control)" "$wanted"
}
browsers='public, max-age=120'

# Everybody's: when it comes, from the store, for a HEAD, a range, a condition.
says "$browsers" '/page?h=ETag:%22a%22'
await is_hit '/page?h=ETag:%22a%22'
says "$browsers" '/page?h=ETag:%22a%22'
says "$browsers" '/page?h=ETag:%22a%22' -I
says "$browsers" '/page?h=ETag:%22a%22' -H 'If-None-Match: "a"'
is 'status' "$(status)" 304
says "$browsers" '/page?h=ETag:%22a%22' -r 0-2
is 'status' "$(status)" 206
says "$browsers" '/headed' -I
says "$browsers" '/other?h=ETag:%22a%22' -H 'If-None-Match: "a"'
is 'status' "$(status)" 304
# Too large to be stored, and everybody's all the same.
says "$browsers" '/large?size=3000000'
is 'detail' "$(field Cache-Status | grep -o 'detail=[a-z-]*')" 'detail=too-large'
# The operator's word on time counts more than the backend's.
says "$browsers" '/override?h=Cache-Control:no-cache'

# On a request that the cache has nothing to do with: the backend's word stays.
word='Cache-Control:max-age=7'
says 'max-age=7' "/cookie?h=$word" -b session=1
says 'max-age=7' "/authorization?h=$word" -H 'Authorization: Basic YTpi'
says 'max-age=7' "/query?h=$word&preview=1"
says 'max-age=7' "/post?h=$word" -d a=b
says 'max-age=7' "/delete?h=$word" -X DELETE
says 'max-age=7' "/no-store?h=$word" -H 'Cache-Control: no-store'
says 'max-age=7' "/if-match?h=$word" -H 'If-Match: "a"'
says 'max-age=7' "/passed/page?h=$word"
says '' /cookie -b session=1

# On an answer that is not everybody's, or that has to be asked about.
says '' '/account?status=302&h=Location:/login'
says '' '/account?status=302&h=Location:/login'
says 'no-cache' '/no-cache?h=Cache-Control:no-cache'
says 'no-cache' '/open/no-cache?h=Cache-Control:no-cache&h=ETag:%22a%22'
says 'no-cache' '/open/no-cache?h=Cache-Control:no-cache&h=ETag:%22a%22'
says 'max-age=0' '/open/zero?h=Cache-Control:max-age=0&h=ETag:%22a%22'
says 'max-age=0' '/open/zero?h=Cache-Control:max-age=0&h=ETag:%22a%22'
says 'no-store' '/no-store?h=Cache-Control:no-store'
says 'private' '/private?h=Cache-Control:private'
says 'private' '/private?h=Cache-Control:private' -I
says '' '/set-cookie?h=Set-Cookie:a=b'
says '' '/vary?h=Vary:*'
says 'no-cache' '/other?h=ETag:%22a%22&h=Cache-Control:no-cache' -H 'If-None-Match: "a"'
says '' '/error?status=404'
