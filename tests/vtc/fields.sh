# Repeated fields keep their number and order, on the miss and on the hit.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site routes='{ path = "/**"; ttl = "1m"; }'
page='/page?h=Link:%3C/a%3E&h=X-One:1&h=Link:%3C/b%3E&h=Link:%3C/c%3E;%20rel=next&h=X-Bytes:%22%2c;~&h=Via:1.0%20inner'
for wanted in MISS HIT; do
    get "$page"
    is "X-Cache" "$(field X-Cache)" "$wanted"
    is "Link" "$(field Link)" "$(printf '</a>\n</b>\n</c>; rel=next')"
    is "X-One" "$(field X-One)" 1
    is "X-Bytes" "$(field X-Bytes)" "$(printf '",;~')"
    is "Via" "$(field Via)" "$(printf '1.0 inner\n1.1 larder')"
    redis stored 1
done
