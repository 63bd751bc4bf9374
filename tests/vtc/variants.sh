# A URL has so many variants and no more; the one that has been used least recently goes.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site routes='{ path = "/**"; ttl = "5m"; variants = 3; }'
page='/page?h=Vary:X-A'

is_hit_with() {
    curl -s --max-time 20 -o /dev/null -D - "$@" | grep -q -i '^x-cache: hit'
}
# Those in Redis: without the marker and the list of what was used.
variants() {
    expr "$(redis entries | wc -l)" - 2
}
add() {
    get "$page" -H "X-A: $1"
    is "X-Cache of $1" "$(field X-Cache)" MISS
    await is_hit_with -H "X-A: $1" "$url$page"
}
add 1
add 2
add 3
is "variants" "$(variants)" 3
add 4
is "variants" "$(variants)" 3
for v in 2 3 4; do
    is_hit_with -H "X-A: $v" "$url$page" || fail "$v has gone"
done
add 1
is "variants" "$(variants)" 3

# Somebody who tries them all out fills nothing up.
for v in 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do
    get "$page" -H "X-A: $v"
done
await is_hit_with -H "X-A: 25" "$url$page"
is "variants" "$(variants)" 3

# They go with their URL.
get "$page" -X POST -d ''
get "$page" -H "X-A: 25"
is "X-Cache after the URL has changed" "$(field X-Cache)" MISS
