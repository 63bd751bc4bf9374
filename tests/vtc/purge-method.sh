# PURGE on a URL, as Varnish, Squid and Fastly have it: of the URL, of the tags that its fields name,
# soft. lighttpd does not let the method through, so this is behind Apache.
# needs: apache2 mod_proxy mod_proxy_fcgi redis-server redis-cli spawn-fcgi curl
. case

token=0123456789abcdef
routes='{ path = "/**"; ttl = "5m"; stale_while_revalidate = "1h"; }'
site -n 2 -m apache-proxy-fcgi upstream='trusted_proxies = ["127.0.0.1"];' \
    admin="token = \"$token\";" routes="$routes"

purge() {
    target=$1
    shift
    get "$target" -X PURGE -H "X-Larder-Token: $token" "$@"
    is "PURGE $target: status" "$(status)" 200
    is "PURGE $target: X-Cache-Invalidate" "$(field X-Cache-Invalidate)" done
}
says() {
    grep -q -F "$1" "$DIR/body" || fail "no $1 in $(cat "$DIR/body")"
}
from() {
    get "$2"
    is "$2: X-Cache" "$(field X-Cache)" "$1"
}

for page in /a '/a?b=1' /c '/d?h=Surrogate-Key:x%20y' '/e?h=Cache-Tag:two%20words,z'; do
    get "$page"
    await is_hit "$page"
done
purge '/a?b=1'
says '"purged":{"urls":1},"soft":false'
from MISS '/a?b=1'
from HIT /a

# By the name that it has at the visitors', whatever way the purge comes in.
visit() {
    get /h -H 'Host: front' -H 'X-Forwarded-Host: shop.example' -H "X-Forwarded-Proto: $1"
}
is_kept() {
    visit "$1"
    test "$(field X-Cache)" = HIT
}
for scheme in http https; do
    await is_kept $scheme
done
purge /h -H 'Host: shop.example'
for scheme in http https; do
    visit $scheme
    is "/h by $scheme: X-Cache" "$(field X-Cache)" MISS
done

# Tags instead of the URL.
purge /a -H 'Surrogate-Key: y nobody'
says '"purged":{"tags":2}'
from MISS '/d?h=Surrogate-Key:x%20y'
from HIT /a
purge / -H 'Cache-Tag: two words'
from MISS '/e?h=Cache-Tag:two%20words,z'
purge / -H 'xkey: nobody'
from HIT /a
get / -X PURGE -H "X-Larder-Token: $token" -H 'Cache-Tag: ,'
is "no tag in it: status" "$(status)" 400

# Soft, in two spellings.
for field in X-Larder-Soft Soft-Purge; do
    await is_hit /c
    purge /c -H "$field: 1"
    says '"soft":true'
    from STALE /c
done
purge /c -H 'X-Larder-Soft: 0'
says '"soft":false'
from MISS /c
get /c -X PURGE -H "X-Larder-Token: $token" -H 'Soft-Purge: perhaps'
is "neither: status" "$(status)" 400

# The backend has seen none of this, nor does it without a token in the configuration.
conf routes="$routes"
pool signal HUP
is_off() {
    get /a -X PURGE
    test "$(status)" = 405
}
await is_off
is "PURGE at the backend" "$(grep -c '^PURGE' "$DIR/log/requests")" 0
