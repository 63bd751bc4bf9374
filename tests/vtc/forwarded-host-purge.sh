# Behind a trusted proxy that names the visitors' host, routes see another one; what a mutation or a
# purge drops is found all the same.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

token=0123456789abcdef
site upstream='trusted_proxies = ["127.0.0.1"];' admin="token = \"$token\";" routes='
    { path = "/**"; hosts = ["inner.example"]; ttl = "5m"; query = { ignore = ["utm"]; }; },
    { path = "/**"; ttl = "5m"; directory_tags = 1; }'

outer='X-Forwarded-Host: shop.example'
page() {
    get "$1" -H 'Host: inner.example' -H "$outer"
}
is_stored() {
    page '/page?id=7&utm=a'
    test "$(field X-Cache)" = HIT
}
await is_stored
page '/page?id=7&utm=b'
is "another utm: X-Cache" "$(field X-Cache)" HIT
get '/page?id=7&utm=a' -H 'Host: inner.example' -H "$outer" -d ''
is "X-Cache-Invalidate" "$(field X-Cache-Invalidate)" done
page '/page?id=7&utm=a'
is "after a mutation: X-Cache" "$(field X-Cache)" MISS

await is_stored
get /.larder/purge -H "X-Larder-Token: $token" -d '{"urls": ["http://shop.example/page?id=7&utm=c"]}'
is "status" "$(status)" 200
page '/page?id=7&utm=a'
is "after a purge: X-Cache" "$(field X-Cache)" MISS

# Nor is a directory said to be purged whose pages have no tag for it.
get /.larder/purge -H "X-Larder-Token: $token" -d '{"prefixes": ["http://shop.example/"]}'
is "a prefix: status" "$(status)" 409
