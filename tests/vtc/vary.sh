# A variant for each combination of what Vary names, and for nothing else.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site cache='encodings = ["br", "gzip"];' routes='{ path = "/**"; ttl = "5m";
    fields = { forward = ["X-A", "X-B", "User-Agent"]; }; }'

# Stored, and seen to be.
is_hit_with() {
    curl -s --max-time 20 -o /dev/null -D - "$@" | grep -q -i '^x-cache: hit'
}
miss() {
    gets "$@"
    page=$1
    shift 3
    await is_hit_with "$@" "$url$page"
}

one='/page?h=Vary:X-A'
miss "$one" MISS "GET $one #1"
miss "$one" MISS "GET $one #2" -H 'X-A: 1'
is "Cache-Status" "$(field Cache-Status | sed 's/; ttl.*//')" 'Larder; fwd=vary-miss; fwd-status=200'
# Absent matches only absent.
gets "$one" HIT "GET $one #1"
gets "$one" HIT "GET $one #2" -H 'x-a: 1'
# A list is the same in other lines and with other blanks; another order may mean something else.
miss "$one" MISS "GET $one #3" -H 'X-A: 2, 3'
gets "$one" HIT "GET $one #3" -H 'X-A: 2' -H 'X-A: 3'
gets "$one" HIT "GET $one #3" -H 'X-A:   2 ,3'
miss "$one" MISS "GET $one #4" -H 'X-A: 3, 2'
gets "$one" HIT "GET $one #2" -H 'X-A: 1' -H 'X-Other: makes no difference'

# Several names, in several lines, in any case.
two='/page?h=Vary:X-B,%20x-a&h=Vary:X-A'
miss "$two" MISS "GET $two #1" -H 'X-A: 1' -H 'X-B: 1'
miss "$two" MISS "GET $two #2" -H 'X-A: 1' -H 'X-B: 2'
miss "$two" MISS "GET $two #3" -H 'X-A: 1'
gets "$two" HIT "GET $two #1" -H 'X-B: 1' -H 'X-A: 1'
gets "$two" HIT "GET $two #2" -H 'X-B: 2' -H 'X-A: 1'
# What one field has is not what two have between them.
gets "$two" MISS "GET $two #4" -H 'X-A: 11'

# "*" is nothing that anybody could match.
star='/page?h=Vary:X-A,%20*'
gets "$star" MISS "GET $star #1"
gets "$star" MISS "GET $star #2"
is "Cache-Status" "$(field Cache-Status | sed 's/; key=.*//')" \
    'Larder; fwd=uri-miss; fwd-status=200; detail=vary-star'

# The field that most often decides has few values, whatever browsers write.
coded='/page?h=Vary:Accept-Encoding'
miss "$coded" MISS "GET $coded #1" -H 'Accept-Encoding: gzip, deflate, br, zstd'
gets "$coded" HIT "GET $coded #1" -H 'Accept-Encoding: br;q=1.0, gzip;q=0.8, *;q=0.1'
gets "$coded" HIT "GET $coded #1" -H 'Accept-Encoding: x-gzip,br'
miss "$coded" MISS "GET $coded #2" -H 'Accept-Encoding: gzip'
gets "$coded" HIT "GET $coded #2" -H 'Accept-Encoding: gzip, br;q=0'
miss "$coded" MISS "GET $coded #3"
gets "$coded" HIT "GET $coded #3" -H 'Accept-Encoding: identity'
gets "$coded" HIT "GET $coded #3" -H 'Accept-Encoding: deflate'
get '/page?echo=1' -H 'Accept-Encoding: gzip;q=0.5, zstd, br'
is "what the backend saw" "$(sed -n 's/^Accept-Encoding: \(.*\)\r$/\1/p' "$DIR/body")" 'br, gzip'

# A coding is for those who can read it, even if nobody says so.
silent='/page?h=Content-Encoding:gzip'
miss "$silent" MISS "GET $silent #1" -H 'Accept-Encoding: gzip'
gets "$silent" HIT "GET $silent #1" -H 'Accept-Encoding: gzip'
gets "$silent" MISS "GET $silent #2"
