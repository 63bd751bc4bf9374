# However many ask at once, on however many processes: one fetch, and everybody has it.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case
. crowd

site -n 1 routes='{ path = "/**"; ttl = "1m"; }'
several() {
    page="/$1?gate=$1"
    crowd "$1" 20 "$page"
    await waiting "$2"
    backend only GET "$page" 1
    backend open "$1"
    gathered "$1"
    all "$1" "GET $page #1"
    backend only GET "$page" 1
    gets "$page" HIT "GET $page #1"
}

# In one process.
several alone 19
is "misses" "$(said alone '^x-cache: miss')" 1
is "hits" "$(said alone '^x-cache: hit')" 19
is "collapsed" "$(said alone '^cache-status: Larder; fwd=uri-miss;.*; collapsed')" 19
is "counted" "$(counter collapsed)" 19

# A HEAD, a range, and a condition wait as well, and get theirs.
page='/kinds?gate=kinds&h=ETag:%22a%22'
crowd lead 1 "$page"
backend saw GET "$page" 1
crowd head 1 "$page" -I
crowd range 1 "$page" -r 0-2
crowd condition 1 "$page" -H 'If-None-Match: "a"'
await waiting 3
backend open kinds
gathered lead
gathered head
gathered range
gathered condition
text="GET $page #1"
is "head" "$(said head "^content-length: $((${#text} + 1))")" 1
all range GET
is "condition" "$(said condition '^HTTP.* 304')" 1
is "requests" "$(backend count HEAD "$page")" 0
backend only GET "$page" 1
pool term

# In four.
pool start -n 4
several four 19
is "misses" "$(said four '^x-cache: miss')" 1
pool term

# A route that does not want it.
conf routes='{ path = "/**"; ttl = "1m"; coalesce = false; }'
pool start -n 1
crowd route 5 '/route?gate=route'
backend saw GET '/route?gate=route' 5
backend open route
gathered route
