# What a visitor's fields do: kept from the backend where the answer may be shared, unless Vary or the
# route names them; sent as they came where it is not.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
# time: 60
. case
. crowd

site routes='{ path = "/own/**"; },
    { path = "/named/**"; ttl = "1m"; fields = { key = ["X-Api-Key", "X-Tenant-*"];
        bypass = ["X-Preview"]; forward = ["X-Trace", "X-Wp-Nonce"];
        ignore = ["X-Csrf-Token", "Origin"]; }; },
    { path = "/tongues/**"; ttl = "1m"; languages = ["en", "de"];
        fields = { key = ["Accept-Language"]; }; },
    { path = "/user/**"; ttl = "1m"; user = "field:X-Auth-User"; },
    { path = "/**"; ttl = "1m"; }'

# The backend's view of a field in the last answer; empty: it did not come.
saw() {
    tr -d '\r' < "$DIR/body" | sed -n "s/^$1: //Ip"
}
is_hit_with() {
    curl -s --max-time 20 -o /dev/null -D - "$@" | grep -q -i '^x-cache: hit'
}

# Names from reports of cache poisoning, and those of proxies, frameworks and debuggers.
unkeyed='X-Scheme X-Script-Name X-Arr-Ssl CloudFront-Forwarded-Proto X-Forward-Host X-Forwarded-Server
    X-Middleware-Subrequest X-Middleware-Prefetch X-Middleware-Rewrite X-Nextjs-Data Rsc Next-Router-State-Tree
    Next-Router-Prefetch Next-Url X-Now-Route-Matches X-Invoke-Path X-Original-URL X-Rewrite-URL
    X-HTTP-Method-Override X-HTTP-Method X-Method-Override X-Forwarded X-Forwarded-Scheme X-Forwarded-Ssl
    X-Forwarded-Port X-Forwarded-Prefix X-Forwarded-Path X-Forwarded-By X-Host X-Original-Host X-Real-Ip
    X-Client-Ip X-Cluster-Client-Ip X-ProxyUser-Ip X-Remote-Ip X-Remote-Addr X-Originating-Ip True-Client-Ip
    CF-Connecting-IP Fastly-Client-Ip Client-Ip Forwarded Front-End-Https X-Url-Scheme X-Proto Https Ssl
    X-Backend-Host X-Http-Host-Override X-Http-Destinationurl X-Destination X-Wap-Profile X-Accel-Internal
    X-Sendfile-Type X-Accel-Mapping X-Debug X-Amz-Website-Redirect-Location X-Oneagent-Js-Injection Translate
    Base-Url Referer User-Agent Accept Accept-Charset Accept-Language Accept-Datetime DNT Save-Data
    Sec-Fetch-Mode Sec-Fetch-Dest Sec-Ch-Ua-Mobile Sec-GPC Upgrade-Insecure-Requests Priority From Pragma
    Max-Forwards X-Foo Uri Profile Transfer X-Timer Tracestate Baggage'
passing='X-Wp-Nonce Remote-User X-Api-Key X-Auth-Token X-Access-Token X-Forwarded-User X-CSRF-Token Hx-Request'
set --
for name in $unkeyed; do
    set -- "$@" -H "$name: zzz-evil"
done
get '/poisoned?echo=1' "$@"
is "X-Cache" "$(field X-Cache)" MISS
if grep -i zzz "$DIR/body"; then
    fail "these reached the backend"
fi
is "User-Agent" "$(saw User-Agent)" 'Mozilla/5.0 (compatible; Larder)'
is "Accept" "$(saw Accept)" '*/*'
await is_hit_with "$url/poisoned?echo=1"
get '/own/poisoned?echo=1' "$@"
is "X-Cache" "$(field X-Cache)" BYPASS
for name in $unkeyed; do
    is "$name where nothing is shared" "$(saw "$name")" zzz-evil
done
for name in $passing; do
    get '/credential?echo=1' -H "$name: zzz"
    is "X-Cache with $name" "$(field X-Cache)" BYPASS
    is "Cache-Status with $name" "$(field Cache-Status | sed 's/.*detail=//')" field-in-request
    is "$name" "$(saw "$name")" zzz
    is "User-Agent beside $name" "$(saw User-Agent | cut -c 1-5)" curl/
done

# Named by the route: part of the key, a reason to pass, or sent.
get '/named/a?echo=1' -H 'X-Api-Key: one' -H 'X-Tenant-Id: t'
is "X-Cache" "$(field X-Cache)" MISS
is "X-Api-Key" "$(saw X-Api-Key)" one
is "X-Tenant-Id" "$(saw X-Tenant-Id)" t
await is_hit_with -H 'x-tenant-id: t' -H 'X-API-KEY: one' "$url/named/a?echo=1"
get '/named/a?echo=1' -H 'X-Api-Key: two' -H 'X-Tenant-Id: t'
is "X-Cache with another key" "$(field X-Cache)" MISS
is "X-Api-Key" "$(saw X-Api-Key)" two
get '/named/a?echo=1' -H 'X-Tenant-Id: t'
is "X-Cache without a key" "$(field X-Cache)" MISS
get '/named/a?echo=1' -H 'X-Tenant-Id: t' -H 'X-Preview: 1'
is "X-Cache with one that passes" "$(field X-Cache)" BYPASS
is "X-Preview" "$(saw X-Preview)" 1
get '/named/b?echo=1' -H 'X-Trace: 7' -H 'X-Wp-Nonce: 8'
is "X-Cache with what is only sent" "$(field X-Cache)" MISS
is "X-Trace" "$(saw X-Trace)$(saw X-Wp-Nonce)" 78
await is_hit_with "$url/named/b?echo=1"
get '/named/b?echo=1' -H 'X-Csrf-Token: zzz' -H 'Origin: zzz'
is "X-Cache with what is ignored" "$(field X-Cache)" HIT
get '/named/c?echo=1&h=Vary:Origin' -H 'X-Csrf-Token: zzz' -H 'Origin: zzz'
is "X-Cache with what is ignored" "$(field X-Cache) $(saw X-Csrf-Token)$(saw Origin)" 'MISS '
get '/tongues/?echo=1' -H 'Accept-Language: de-CH, fr'
is "Accept-Language" "$(saw Accept-Language)" de
await is_hit_with -H 'Accept-Language: de' "$url/tongues/?echo=1"
get '/tongues/?echo=1' -H 'Accept-Language: en-GB'
is "Accept-Language" "$(field X-Cache) $(saw Accept-Language)" 'MISS en'
get '/user/?echo=1' -H 'X-Auth-User: ann'
is "the user's field" "$(field X-Cache) $(saw X-Auth-User)" 'MISS ann'

# A page of another site gets what is meant for it, although the backend does not say that it varies.
for origin in http://a http://b ''; do
    get '/cors?echo=1' -H "Origin: $origin"
    is "Origin" "$(field X-Cache) $(saw Origin)" "MISS $origin"
done
await is_hit_with -H 'Origin: http://a' "$url/cors?echo=1"

# By the name of a library that asks for a part of the page. Of its two meanings each has its entry.
get '/part?echo=1' -H 'X-Requested-With: XMLHttpRequest'
is "X-Requested-With" "$(field X-Cache) $(saw X-Requested-With)" 'MISS XMLHttpRequest'
get '/part?echo=1' -H 'X-Requested-With: com.android.browser'
is "X-Requested-With of an app" "$(field X-Cache) $(saw X-Requested-With)" 'MISS '
await is_hit_with "$url/part?echo=1"
await is_hit_with -H 'X-Requested-With: XMLHttpRequest' "$url/part?echo=1"

# Vary names a field of the first visitor's that was kept back: the backend is asked again, once. (Pages
# with an extension of their own are not among those of which that is expected: vary-expected.sh.)
page='/tongue?echo=1&h=Vary:Accept-Language'
get "$page" -H 'Accept-Language: de'
is "the first visitor" "$(field X-Cache) $(saw Accept-Language)" 'MISS de'
backend only GET "$page" 2
await is_hit_with -H 'Accept-Language: de' "$url$page"
get "$page" -H 'Accept-Language: fr' -H 'X-Foo: zzz'
is "the second" "$(field X-Cache) $(saw Accept-Language) $(saw X-Foo)" 'MISS fr '
backend only GET "$page" 3
get "$page"
is "the third, who does not mind" "$(field X-Cache) $(saw Accept-Language)" 'MISS '
backend only GET "$page" 4
await is_hit_with "$url$page"
get "$page" -H 'Accept-Language: de'
is "the first again" "$(field X-Cache) $(saw Accept-Language)" 'HIT de'
backend only GET "$page" 4

# A visitor without the field is not asked for twice; what stands for a field is not what it lacks.
page='/agent?echo=1&h=Vary:User-Agent,%20X-Foo'
get "$page" -H 'User-Agent:'
is "User-Agent" "$(saw User-Agent)" ''
backend only GET "$page" 2
get "$page" -A mine -H 'X-Foo: zzz'
is "User-Agent" "$(saw User-Agent) $(saw X-Foo)" 'mine zzz'
backend only GET "$page" 3

# Vary: * depends on anything: every visitor gets its own answer, and only the first is asked for twice.
page='/star?echo=1&h=Vary:*'
get "$page" -A mine -H 'X-Foo: zzz'
is "User-Agent" "$(saw User-Agent) $(saw X-Foo)" 'mine zzz'
backend only GET "$page" 2
await redis stored "$(($(redis entries | wc -l)))"
sleep 0.3
get "$page" -A other
is "User-Agent" "$(saw User-Agent)" other
backend only GET "$page" 3

# So does what must not be stored, from the second visitor on; and once it may be it is fetched for all.
page='/private?echo=1&h=Cache-Control:private'
get "$page" -A mine
is "X-Cache" "$(field X-Cache)" MISS
is_own() {
    get "$page" -A own
    test "$(saw User-Agent)" = own
}
await is_own

# A part of a page that varies; a client's condition; HEAD.
page='/range?echo=1&h=Vary:Origin'
get "$page" -H 'Origin: http://a' -H 'Range: bytes=0-3'
is "a part" "$(status) $(cat "$DIR/body")" '206 GET '
get "$page" -H 'Origin: http://b' -I
is "a head" "$(status)" 200
get "$page" -H 'Origin: http://b'
is "Origin" "$(saw Origin)" http://b

# Two languages at the same time on a cold URL: each gets its own, and nobody the other's.
page='/both.a?gate=both&echo=1&h=Vary:Accept-Language'
crowd de 3 "$page" -H 'Accept-Language: de'
crowd fr 3 "$page" -H 'Accept-Language: fr'
backend saw GET "$page" 1
await waiting 5
backend open both
gathered de
gathered fr
for i in 1 2 3; do
    grep -q -i '^accept-language: de' "$DIR/de.$i.body" || fail "de.$i"
    grep -q -i '^accept-language: fr' "$DIR/fr.$i.body" || fail "fr.$i"
done
backend only GET "$page" 3

# A fetch behind a stale page, which nobody waits for.
page='/stale.b?echo=1&h=Vary:X-Foo&h=Cache-Control:max-age=1,stale-while-revalidate=60'
get "$page" -H 'X-Foo: zzz'
is "X-Foo" "$(saw X-Foo)" zzz
backend only GET "$page" 2
is_refreshed() {
    get "$page" -H 'X-Foo: zzz'
    is "X-Foo" "$(saw X-Foo)" zzz
    test "$(backend count GET "$page")" -ge 3
}
await is_refreshed

# What explain says of it.
"$LARDERCTL" -f "$DIR/larder.conf" explain -H "X-Api-Key: 1" "$url/x" > "$DIR/explained"
grep -q 'BYPASS (field-in-request): .*X-Api-Key' "$DIR/explained" || fail "$(cat "$DIR/explained")"
"$LARDERCTL" -f "$DIR/larder.conf" explain "$url/named/x" -H 'X-Api-Key: 1' -H 'X-Trace: 1' \
    -H 'X-Foo: 1' > "$DIR/explained"
grep -q 'Fields: *part of the key: X-Api-Key' "$DIR/explained" || fail "$(cat "$DIR/explained")"
grep -q 'Fields: *sent to the backend: X-Trace' "$DIR/explained" || fail "$(cat "$DIR/explained")"
grep -q 'Fields: *kept from the backend: X-Foo' "$DIR/explained" || fail "$(cat "$DIR/explained")"
