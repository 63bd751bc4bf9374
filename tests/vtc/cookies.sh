# What cookies mean is the route's to say: ignored and kept from the backend, part of the key, or a
# reason to pass.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site routes='{ path = "/vary/**"; ttl = "1m"; cookies = { key = ["k"]; vary = ["*"]; }; },
    { path = "/**"; ttl = "1m";
    cookies = { bypass = ["session*"]; key = ["theme", "lang-*"]; ignore = ["_ga*", "utm"]; }; }'

page='/page?echo=1'
cookies() {
    sed -n 's/^Cookie: \(.*\)\r$/\1/p' "$DIR/body"
}

get "$page" -b '_ga=1.2; utm=x'
is "X-Cache" "$(field X-Cache)" MISS
is "Cookie at the backend" "$(cookies)" ''
redis stored 1
get "$page"
is "X-Cache without any" "$(field X-Cache)" HIT
get "$page" -b '_gat=other'
is "X-Cache with another that is ignored" "$(field X-Cache)" HIT

get "$page" -b '_ga=1.2; theme=dark; lang-x=de'
is "X-Cache" "$(field X-Cache)" MISS
is "Cookie at the backend" "$(cookies)" 'theme=dark; lang-x=de'
redis stored 2
get "$page" -b 'theme=dark; lang-x=de; utm=y'
is "X-Cache" "$(field X-Cache)" HIT
get "$page" -b 'theme=light; lang-x=de'
is "X-Cache with another theme" "$(field X-Cache)" MISS
is "Cookie at the backend" "$(cookies)" 'theme=light; lang-x=de'
redis stored 3

get "$page" -b '_ga=1.2; session-id=7; theme=dark'
is "X-Cache" "$(field X-Cache)" BYPASS
is "Cookie at the backend" "$(cookies)" '_ga=1.2; session-id=7; theme=dark'
get "$page" -b 'unnamed=1'
is "X-Cache with one that nobody named" "$(field X-Cache)" BYPASS
is "Cookie at the backend" "$(cookies)" 'unnamed=1'
redis stored 3

# As RFC 9111 has it: they are sent, and count where Vary says so.
alike='/vary/alike?echo=1'
get "$alike" -b 'a=1'
is "X-Cache" "$(field X-Cache)" MISS
is "Cookie at the backend" "$(cookies)" 'a=1'
redis stored 4
get "$alike" -b 'a=2'
is "X-Cache with another" "$(field X-Cache)" HIT
get "$alike" -b 'k=1; a=2'
is "X-Cache with another that is part of the key" "$(field X-Cache)" MISS
is "Cookie at the backend" "$(cookies)" 'k=1; a=2'
redis stored 5

# Two keys more than variants: what says that there are some, and which are used.
varies='/vary/differs?echo=1&h=Vary:Cookie'
get "$varies" -b 'a=1'
is "X-Cache" "$(field X-Cache)" MISS
redis stored 8
get "$varies" -b 'a=2'
is "X-Cache with another" "$(field X-Cache)" MISS
is "Cookie at the backend" "$(cookies)" 'a=2'
redis stored 9
get "$varies" -b 'a=1'
is "X-Cache" "$(field X-Cache)" HIT
is "Cookie at the backend" "$(cookies)" 'a=1'
get "$varies"
is "X-Cache without any" "$(field X-Cache)" MISS
