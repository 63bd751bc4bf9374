# What is gone stays gone: an answer that is no failure and is not stored takes the place of what is stored.
# Nothing brings the old one back, neither a time in which it may be used stale nor a backend that fails.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

# Each page is there once (after=1), and what follows it is in the query.
routes='{ path = "/while/**"; ttl = "1s"; stale_while_revalidate = "1h"; stale_if_error = "1h"; },
    { path = "/error/**"; ttl = "1s"; stale_if_error = "1h"; fields = { forward = ["X-A"]; }; },
    { path = "/fresh/**"; ttl = "1h"; stale_if_error = "1h"; client_control = "honour";
      fields = { forward = ["X-A"]; }; }'
site -n 2 cache='max_object = "1M";' coalesce='hit_for_miss = "0";' routes="$routes"

gone='status=404 status=410 status=451 status=401 status=403 status=302&h=Location:/login status=301&h=Location:/new
    status=405 h=Cache-Control:private h=Cache-Control:no-store h=Set-Cookie:a=b h=Vary:* h=Cache-Control:no-cache
    size=2000000 framing=close framing=close&type=text/event-stream type=text/event-stream framing=close&type=audio/mpeg'
# Of the page these say nothing.
kept='status=500 status=503 status=429 status=400 status=421 status=431 hangup=1 cut=3'

# A HEAD tells that the page is gone, or another one, or somebody's own; that HEAD is not let in, or is sent
# elsewhere, says nothing of GET. It has no body that could be too large or have no end.
says_of_head() {
    case $1 in status=404 | status=410 | h=C* | h=S* | h=V* | size=* | *type=*) true ;; *) false ;; esac
}
gone_count=$(printf '%s\n' $gone | wc -l)

# A visitor who is refused and has asked for a newer one says nothing of a page that is fresh.
says_of_fresh() {
    case $1 in status=401 | status=403 | status=451) false ;; esac
}

entry_of() {
    "$LARDERCTL" -f "$DIR/larder.conf" explain "$url$1" | sed -n 's/^Key: *//p'
}
is_dropped() {
    test "$(redis cli --raw EXISTS "$(entry_of "$1")")" -eq 0
}
answered() {
    test "$(backend count "$1" "$2")" -ge "$3"
}

n=0
for what in $gone $kept; do
    n=$((n + 1))
    for way in while error fresh; do
        curl -sS --max-time 20 -o "$DIR/body" "$url/$way/$n?$what&after=1"
    done
    curl -sS --max-time 20 -o "$DIR/body" "$url/error/head/$n?$what&after=1"
done
n=0
for what in $gone $kept; do
    n=$((n + 1))
    await is_hit "/fresh/$n?$what&after=1"
    await test "$(redis cli --raw EXISTS "$(entry_of "/while/$n?$what&after=1")")" -eq 1
done
for what in status=404 h=Cache-Control:private; do
    for value in 1 2; do
        get "/error/vary?$what&after=2&h=Vary:X-A" -H "X-A: $value"
    done
done
# It may be stored itself, or come to a visitor whose variant was never stored.
for status in 404 410; do
    for value in 1 2; do
        get "/error/kept?status=$status&after=2&h=Vary:X-A&h=Cache-Control:max-age%3D1" -H "X-A: $value"
        get "/error/third?status=$status&after=2&h=Vary:X-A&h=Cache-Control:no-store" -H "X-A: $value"
    done
done
sleep 1.1

# The next one asks: behind the stale one, because that is stale, or because the visitor wants it so.
n=0
for what in $gone $kept; do
    n=$((n + 1))
    get "/while/$n?$what&after=1"
    is "/while/$n: X-Cache" "$(field X-Cache)" STALE
    curl -sS --max-time 20 -o "$DIR/body" "$url/error/$n?$what&after=1" || true
    curl -sS --max-time 20 -o "$DIR/body" "$url/fresh/$n?$what&after=1" -H 'Cache-Control: no-cache' || true
    curl -sS --max-time 20 -o "$DIR/body" "$url/error/head/$n?$what&after=1" -I || true
done
n=0
for what in $gone; do
    n=$((n + 1))
    for way in while error fresh error/head; do
        case $way in
        error/head) says_of_head "$what" || continue ;;
        fresh) says_of_fresh "$what" || continue ;;
        esac
        await is_dropped "/$way/$n?$what&after=1" || fail "/$way/$n?$what: still there"
    done
done
n=0
for what in $kept; do
    n=$((n + 1))
    backend saw GET "/while/$((n + gone_count))?$what&after=1" 2
done

# What is gone in one variant is gone in all; what is somebody's own in one may be everybody's in another.
for what in status=404 h=Cache-Control:private; do
    get "/error/vary?$what&after=2&h=Vary:X-A" -H 'X-A: 1'
done

for status in 404 410; do
    get "/error/kept?status=$status&after=2&h=Vary:X-A&h=Cache-Control:max-age%3D1" -H 'X-A: 1'
    is "variant 1: status" "$(status)" "$status"
    get "/error/third?status=$status&after=2&h=Vary:X-A&h=Cache-Control:no-store" -H 'X-A: 3'
    is "variant 3: status" "$(status)" "$status"
done
# A value that somebody has made up never had the page, however often it is asked for.
made_up='/fresh/made-up?status=404&after=2&h=Vary:X-A&h=Cache-Control:max-age%3D3600'
for value in 1 2; do
    get "$made_up" -H "X-A: $value"
done
get "$made_up" -H 'X-A: 9'
await curl -sS -f -o /dev/null "$url$made_up" -H 'X-A: 1' -H 'Cache-Control: only-if-cached'
until_stored() {
    get "$made_up" -H 'X-A: 9'
    test "$(field X-Cache)" = HIT
}
await until_stored
for _ in 1 2; do
    get "$made_up" -H 'X-A: 9' -H 'Cache-Control: no-cache'
    is "a made-up value: status" "$(status)" 404
done
# Behind its answer.
await until_stored
for value in 1 2; do
    get "$made_up" -H "X-A: $value"
    is "variant $value beside a made-up one: X-Cache" "$(field X-Cache)" HIT
done

# The client has its answer before that.
no_variants() {
    for entry in $variants; do
        ! redis cli --raw get "$entry" | grep -aq "^GET /error/$1?.* #[12]\$" || return 1
    done
}
variants=$(redis entries)
await no_variants kept
await no_variants third

# And when the backend fails from then on.
backend stop
for status in 404 410; do
    get "/error/kept?status=$status&after=2&h=Vary:X-A&h=Cache-Control:max-age%3D1" -H 'X-A: 2'
    is "variant 2 of a page whose $status was stored for variant 1: status" "$(status)" 502
    for value in 1 2; do
        get "/error/third?status=$status&after=2&h=Vary:X-A&h=Cache-Control:no-store" -H "X-A: $value"
        is "variant $value of a page whose $status came for another: status" "$(status)" 502
    done
done
for what in status=404 h=Cache-Control:private; do
    get "/error/vary?$what&after=2&h=Vary:X-A" -H 'X-A: 1'
    is "variant 1 of $what: status" "$(status)" 502
done
get "/error/vary?status=404&after=2&h=Vary:X-A" -H 'X-A: 2'
is "variant 2 of a page that is gone: status" "$(status)" 502
get "/error/vary?h=Cache-Control:private&after=2&h=Vary:X-A" -H 'X-A: 2'
is "variant 2 of a page that is private in another: status" "$(status)" 200
n=0
for what in $gone; do
    n=$((n + 1))
    for way in while error fresh error/head; do
        status=502
        case $way in
        error/head) says_of_head "$what" || status=200 ;;
        fresh) says_of_fresh "$what" || status=200 ;;
        esac
        get "/$way/$n?$what&after=1"
        is "/$way/$n?$what without the backend: status" "$(status)" "$status"
    done
done
for what in $kept; do
    n=$((n + 1))
    get "/while/$n?$what&after=1"
    is "/while/$n?$what without the backend: status" "$(status)" 200
    get "/error/$n?$what&after=1"
    is "/error/$n?$what without the backend: status" "$(status)" 200
done
