# A URL has so many variants and no more; what is in use stays, what nobody asks for again goes.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site routes='{ path = "/**"; ttl = "5m"; variants = 3; }'

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
page='/page?h=Vary:X-A'
for v in 1 2 3; do
    add $v
done
is "variants" "$(variants)" 3

# Somebody who tries them all out fills nothing up, and takes nothing away.
for v in 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do
    get "$page" -H "X-A: $v"
    is "X-Cache of $v" "$(field X-Cache)" MISS
done
is "variants" "$(variants)" 3
for v in 1 2 3; do
    is_hit_with -H "X-A: $v" "$url$page" || fail "$v has gone"
done

# What has been asked for once goes when another comes, and its place is free for whoever comes again.
get "$page" -X POST -d ''
redis cli flushall > /dev/null
for v in 4 5 6; do
    get "$page" -H "X-A: $v"
done
await is_hit_with -H 'X-A: 7' "$url$page"
is "variants" "$(variants)" 3
is_hit_with -H 'X-A: 4' "$url$page" && fail "the oldest one is still there"

# They go with their URL.
get "$page" -X POST -d ''
get "$page" -H 'X-A: 7'
is "X-Cache after the URL has changed" "$(field X-Cache)" MISS
