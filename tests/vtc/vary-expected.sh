# Where answers of a route name a field in Vary, a new page of it is fetched once and not twice: the
# backend gets the field at once. A page that does not name it is stored without it, for everybody.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
# time: 60
. case
. crowd

site routes='{ path = "/tongues/**"; ttl = "1m"; languages = ["en", "de"]; },
    { path = "/ignored/**"; ttl = "1m"; fields = { ignore = ["Accept", "Accept-Language"]; };
        cookies = { ignore = ["*"]; }; },
    { path = "/**"; ttl = "1m"; }'

html='Accept: text/html'
json='Accept: application/json'
vary='echo=1&h=Vary:Accept'
# The backend's view of a field in the last answer; empty: it did not come.
saw() {
    tr -d '\r' < "$DIR/body" | sed -n "s/^$1: //Ip"
}
is_hit_with() {
    curl -s --max-time 20 -o /dev/null -D - "$@" | grep -q -i '^x-cache: hit'
}
# costs N TARGET [CURL ARGUMENT...]: a miss, for which the backend is asked N times.
costs() {
    cost=$1 target=$2
    shift 2
    get "$target" "$@"
    is "$target: X-Cache" "$(field X-Cache)" MISS
    backend only GET "$target" "$cost"
}

# The first two pages tell. All others are fetched once, and each visitor has the page of its own field.
costs 2 "/pages/first?$vary" -H "$html"
costs 2 "/pages/second?$vary" -H "$html"
for i in 1 2 3 4 5 6 7 8; do
    costs 1 "/pages/$i?$vary" -H "$html"
    is "Accept" "$(saw Accept)" text/html
    costs 2 "/pages/$i?$vary" -H "$json"
    is "Accept of the second visitor" "$(saw Accept)" application/json
done
for i in 1 8; do
    await is_hit_with -H "$html" "$url/pages/$i?$vary"
    await is_hit_with -H "$json" "$url/pages/$i?$vary"
    get "/pages/$i?$vary" -H "$html"
    is "Accept of the first again" "$(field X-Cache) $(saw Accept)" 'HIT text/html'
done
is "asked again" "$(counter asked_again)" 2
# A visitor who wants anything, in so many words or by silence, and an odd one, are no exception.
costs 1 "/pages/any?$vary"
is "Accept" "$(saw Accept)" '*/*'
costs 1 "/pages/odd?$vary" -H 'Accept: zzz/evil'
costs 2 "/pages/odd?$vary" -H "$html"
is "Accept" "$(saw Accept)" text/html
# With the other fields nothing has changed.
costs 1 "/pages/other?$vary" -H "$html" -H 'X-Foo: zzz' -H 'Accept-Language: de'
is "other fields" "$(saw X-Foo)$(saw Accept-Language)" ''
for i in 1 2; do
    costs 2 "/pages/more-$i?echo=1&h=Vary:Accept,%20X-Foo" -H "$html" -H 'X-Foo: a'
done
is "a second name" "$(saw Accept) $(saw X-Foo)" 'text/html a'
costs 1 "/pages/both?echo=1&h=Vary:Accept,%20X-Foo" -H "$html" -H 'X-Foo: a'
# One that names another field alone is not split by what was expected.
page='/pages/another?echo=1&h=Vary:X-Bar'
costs 2 "$page" -H "$json" -H 'X-Bar: a'
is "another name alone" "$(saw Accept) $(saw X-Bar)" '*/* a'
await is_hit_with -H "$html" -H 'X-Bar: a' "$url$page"

# What explain says of it.
explain() {
    "$LARDERCTL" -f "$DIR/larder.conf" explain "$@" > "$DIR/explained"
}
explain "$url/pages/new" -H "$html" -H 'Accept-Language: de'
grep -q 'Fields: *sent .* other answers .* name it in Vary: Accept$' "$DIR/explained" ||
    fail "$(cat "$DIR/explained")"
explain "$url/pages/new.css" -H "$html"
grep -q 'Fields: *kept from the backend: Accept$' "$DIR/explained" || fail "$(cat "$DIR/explained")"

# Files of another kind that no Vary is said for: one fetch, one entry for all, whatever pages do.
costs 1 '/pages/style.css?echo=1' -H 'Accept: text/css'
is "Accept of a file" "$(saw Accept)" '*/*'
await is_hit_with -H 'Accept: image/png' "$url/pages/style.css?echo=1"
costs 1 "/pages/still?$vary" -H "$html"

# A page of the same kind that does not name the field is for everybody all the same, and is told from the
# visitor's own: it is fetched again without the field.
costs 2 '/pages/plain?echo=1' -H 'Accept: zzz/evil'
is "Accept of a page for all" "$(saw Accept)" '*/*'
await is_hit_with -H "$html" "$url/pages/plain?echo=1"
await is_hit_with "$url/pages/plain?echo=1"
get '/pages/plain?echo=1' -H "$json"
is "Vary of a page for all" "$(field X-Cache) $(saw Accept)" 'HIT */*'
# What is nobody else's is not fetched again for that, and is the visitor's own.
costs 1 '/pages/own?echo=1&h=Cache-Control:private' -H "$json"
is "Accept of a private page" "$(saw Accept)" application/json
# A part is no exception.
get '/pages/part?echo=1' -H "$json" -H 'Range: bytes=0-3'
is "a part" "$(status) $(cat "$DIR/body")" '206 GET '
await is_hit_with -H "$html" "$url/pages/part?echo=1"
get '/pages/part?echo=1'
is "Accept of a part" "$(saw Accept)" '*/*'

# Where most pages do not name the field it is soon not sent any more, and one that does changes nothing.
for i in 1 2 3; do
    get "/mixed/$i?echo=1" -H "$html"
done
get "/mixed/varies?$vary" -H "$html"
backend only GET "/mixed/varies?$vary" 2
for i in 4 5 6 7 8 9; do
    costs 1 "/mixed/$i?echo=1" -H "$html"
done
costs 2 "/mixed/again?$vary" -H "$html"
costs 1 '/mixed/10?echo=1' -H "$html"

# While the page is under way: those with the same value share it, the others have their own.
for i in 1 2 3 4 5 6; do
    get "/pages/relearn-$i?$vary" -H "$html"
done
page="/pages/gated?gate=gated&$vary"
crowd first 1 "$page" -H "$html"
backend saw GET "$page" 1
crowd same 3 "$page" -H "$html"
crowd other 3 "$page" -H "$json"
await waiting 6
backend open gated
gathered first
gathered same
gathered other
backend only GET "$page" 2
for i in 1 2 3; do
    grep -q -i '^accept: text/html' "$DIR/same.$i.body" || fail "same.$i"
    grep -q -i '^accept: application/json' "$DIR/other.$i.body" || fail "other.$i"
done
# The same for a page that turns out to be everybody's.
page='/pages/gated-plain?gate=plain&echo=1'
crowd lead 1 "$page" -H 'Accept: zzz/evil'
backend saw GET "$page" 1
crowd follow 3 "$page" -H "$html"
await waiting 3
backend open plain
gathered lead
gathered follow
backend only GET "$page" 2
for i in 1 2 3; do
    grep -q -i '^accept: \*/\*' "$DIR/follow.$i.body" || fail "follow.$i"
done

# A HEAD, a condition: the same question.
for i in 1 2 3 4 5 6; do
    get "/pages/relearned-$i?$vary" -H "$html"
done
get "/pages/head?$vary" -H "$html" -I
is "a head" "$(status)" 200
backend only GET "/pages/head?$vary" 1
await is_hit_with -H "$html" "$url/pages/head?$vary"
costs 1 "/pages/condition?$vary" -H "$html" -H 'If-None-Match: "x"'

# A language is reduced as ever. A field that the route ignores, and a cookie, are not sent.
costs 2 '/tongues/1?echo=1&h=Vary:Accept-Language' -H 'Accept-Language: de-CH, fr'
costs 2 '/tongues/2?echo=1&h=Vary:Accept-Language' -H 'Accept-Language: en'
costs 1 '/tongues/3?echo=1&h=Vary:Accept-Language' -H 'Accept-Language: de-AT'
is "Accept-Language" "$(saw Accept-Language)" de
await is_hit_with -H 'Accept-Language: de' "$url/tongues/3?echo=1&h=Vary:Accept-Language"
for i in 1 2 3; do
    costs 1 "/ignored/$i?echo=1&h=Vary:Accept,%20Accept-Language,%20Cookie" -H "$json" \
        -H 'Accept-Language: fr' -b 'id=zzz'
    is "what is ignored" "$(saw Accept-Language)$(saw Cookie)" ''
done

# A new configuration begins anew.
pool signal HUP
begins_anew() {
    explain "$url/pages/new" -H "$html" && grep -q 'kept from the backend: Accept$' "$DIR/explained"
}
await begins_anew
costs 2 "/pages/reloaded-1?$vary" -H "$html"
costs 2 "/pages/reloaded-2?$vary" -H "$html"
costs 1 "/pages/reloaded-3?$vary" -H "$html"
