# What a visitor writes into fields that Larder reads itself does not reach the backend with a request whose
# answer is everybody's: not the name of a cache before it, nor conditions and ranges.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site routes='{ path = "/own/**"; }, { path = "/whole/**"; ttl = "1m"; range_fetch = "1M"; },
    { path = "/**"; ttl = "1m"; }'

saw() {
    tr -d '\r' < "$DIR/body" | sed -n "s/^$1: //Ip"
}
n=0
for field in 'CDN-Loop: zzz' 'CDN-Loop: larder-zzzzzzzzzzzz-zzzzzzzz' 'CDN-Loop: x, "zzz' 'If-None-Match: "zzz"' \
    'If-None-Match: zzz' 'If-Modified-Since: zzz' 'If-Modified-Since: Zzz, 14 Nov 2023 22:13:20 GMT' 'Range: zzz' \
    'Range: bytes=zzz' 'Range: bytes=0-1,zzz' 'Range: zzz=0-1' 'If-Range: "zzz"' 'If-Range: zzz'; do
    for area in a whole; do
        n=$((n + 1))
        get "/$area/$n?echo=1" -H "$field"
        is "$field: X-Cache" "$(field X-Cache)" MISS
        if grep -i zzz "$DIR/body"; then
            fail "$field: reached the backend"
        fi
        await is_hit "/$area/$n?echo=1"
        get "/own/$n?echo=1" -H "$field"
        is "$field, passed" "$(saw "${field%%:*}" | sed 's/, larder-[0-9a-f-]*$//')" "${field#*: }"
    done
done

# With a range that counts If-Range does not go along either; the range is the same in other words.
get '/part?echo=1' -H 'Range: BYTES= 00-1 ,,' -H 'If-Range: "zzz"'
is "status of the whole" "$(status)" 200
is "Range" "$(saw Range)" 'bytes=0-1'
is "If-Range" "$(saw If-Range)" ''
# Several are their visitor's own affair: the backend gets them as they came, and nothing is kept.
for i in 1 2; do
    get '/parts?echo=1' -H 'Range: bytes=0-1,5-,-007'
    is "Range" "$(saw Range)" 'bytes=0-1,5-,-007'
    is "several ranges: Cache-Status" "$(field Cache-Status | grep -c stored)" 0
done
get '/parts?echo=1'
is "Range of the next one" "$(saw Range)" ''
await is_hit '/parts?echo=1'
get '/whole/parts?echo=1&size=10' -H 'Range: bytes=0-1,5-,-007'
await is_hit '/whole/parts?echo=1&size=10'

# Larders before this one are told of.
other=larder-0123456789ab-01234567
get '/loop?echo=1' -H "CDN-Loop: zzz; a=\"b, $other; zzz, $other" -H 'CDN-Loop: cdn'
is "CDN-Loop" "$(saw CDN-Loop | sed 's/larder-[0-9a-f-]*$/own/')" "$other, $other, own"
get '/own/loop?echo=1' -H "CDN-Loop: zzz, $other"
is "CDN-Loop of a pass" "$(saw CDN-Loop | sed 's/larder-[0-9a-f-]*$/own/')" "zzz, $other, own"
# And nothing else that Via says: a firewall reads it too.
long=$(printf '%03900d' 0 | tr 0 z)
for via in '1.1 ../../zzz/passwd' '1.1 zzz' "1.1 $long" "zzz/1.1 $other (zzz), 1.1 zzz, 1.1 $other, 1.1 $other-zzz"; do
    n=$((n + 1))
    get "/via/$n?echo=1" -H "Via: $via"
    if grep -q zzz "$DIR/body"; then
        fail "Via: $(printf %.40s "$via"): reached the backend"
    fi
done
is "Via" "$(saw Via | sed 's/larder-[0-9a-f-]*$/own/')" "1.1 $other, 1.1 $other, 1.1 own"
get '/via/vary?echo=1&h=Vary:Via' -H 'Via: 1.1 zzz'
await is_hit '/via/vary?echo=1&h=Vary:Via'
get "/own/via?echo=1" -H "Via: 1.1 zzz"
is "Via of a pass" "$(saw Via | sed 's/larder-[0-9a-f-]*$/own/' | paste -s -d '|')" '1.1 zzz|1.1 own'
# A number of a request that is none.
for id in 0123456789abcdef-- 0123----456789abcdef 0123456789abcdef-; do
    get "/id/$id?echo=1" -H "X-Request-Id: $id" -H "Traceparent: $id"
    is "X-Request-Id $id" "$(saw X-Request-Id)$(saw Traceparent)" ''
done

# The visitor's condition is evaluated on the whole that comes, which is the next visitor's.
page='/condition?echo=1&h=ETag:%22a%22'
get "$page" -H 'If-None-Match: "b", "a"'
is "status" "$(status) $(field X-Cache) $(field ETag)" '304 MISS "a"'
await is_hit "$page"
backend only GET "$page" 1

# Behind trusted proxies X-Forwarded-For has what these have written: the client's address, and the proxies'.
# What stands to the left of it is the client's.
pool term
conf upstream='trusted_proxies = ["127.0.0.1", "10.0.0.0/8"];' \
    routes='{ path = "/own/**"; }, { path = "/**"; ttl = "1m"; }'
pool start -n 1
while IFS='|' read -r sent told; do
    n=$((n + 1))
    get "/proxy/$n?echo=1" -H "X-Forwarded-For: $sent" -H 'X-Real-IP: zzz' -H 'Forwarded: for=zzz' \
        -H 'X-Forwarded-Proto: zzz' -H 'X-Forwarded-Host: z/zz' -H 'X-Forwarded-Port: zzz'
    is "$sent: X-Cache" "$(field X-Cache)" MISS
    is "$sent: X-Forwarded-For" "$(saw X-Forwarded-For)" "$told"
    if grep -i -e zzz -e z/z "$DIR/body"; then
        fail "$sent: a visitor's words"
    fi
    await is_hit "/proxy/$n?echo=1"
    get "/own/$n?echo=1" -H "X-Forwarded-For: $sent"
    is "$sent, passed" "$(saw X-Forwarded-For)" "$sent, 127.0.0.1"
done << 'END'
../../etc/passwd, 192.0.2.9|192.0.2.9, 127.0.0.1
10.0.0.8, <script>, 192.0.2.9,10.1.1.1|192.0.2.9,10.1.1.1, 127.0.0.1
192.0.2.1, 192.0.2.9|192.0.2.9, 127.0.0.1
zzz, 192.0.2.9:4711|192.0.2.9:4711, 127.0.0.1
zzz, [2001:db8::9]:4711|[2001:db8::9]:4711, 127.0.0.1
zzz, [2001:db8::9], 10.1.1.1|[2001:db8::9], 10.1.1.1, 127.0.0.1
zzz, 2001:db8::9|2001:db8::9, 127.0.0.1
unknown|127.0.0.1
zzz, 10.1.1.1|10.1.1.1, 127.0.0.1
zzz,|127.0.0.1
192.0.2.9:zzz|127.0.0.1
192.0.2.9:|127.0.0.1
192.0.2.9:123456|127.0.0.1
[192.0.2.9]|127.0.0.1
2001:db8::9%zzz|127.0.0.1
END
# No address takes the place of another one.
sent=$(printf '10.0.0.%d, ' $(seq 200))
get "/proxy/long?echo=1" -H "X-Forwarded-For: $sent 10.1.1.1"
test "$(saw X-Forwarded-For | wc -c)" -lt 500 || fail "200 addresses: $(saw X-Forwarded-For)"
