# What is the leader's own never reaches those who waited for it.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case
. crowd

site -n 1 routes='
    { path = "/strip/**"; ttl = "1m"; set_cookie = "strip"; },
    { path = "/**"; ttl = "1m"; }'

page='/strip/page?gate=strip&h=Set-Cookie:id%3d1&h=Surrogate-Key:a'
crowd strip 6 "$page"
await waiting 5
backend open strip
gathered strip
backend only GET "$page" 1
is "cookies" "$(said strip '^set-cookie:')" 1
is "of whom" "$(cat "$DIR"/strip.*.head | tr -d '\r' | awk '
    /^HTTP/ { cookie = cache = "" }
    tolower($1) == "set-cookie:" { cookie = 1 }
    tolower($1) == "x-cache:" { cache = $2 }
    /^$/ { if (cookie) print cache }')" MISS

# Where a cookie forbids to store it, each has his own.
page='/page?gate=own&h=Set-Cookie:id%3d1'
crowd own 6 "$page"
await waiting 5
backend open own
gathered own
backend only GET "$page" 6
is "misses" "$(said own '^x-cache: miss')" 6
is "different answers" "$(cat "$DIR"/own.*.body | tr 'G' '\n' | sort -u | grep -c .)" 6
