# on_unreachable = "refuse": while Redis is out of reach no mutation reaches the backend, whatever its
# route and without one, because any of them may drop something.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site cache='on_unreachable = "refuse"; invalidate_timeout = "500ms";' \
    redis='breaker_max_rest = "100ms";' routes='
    { path = "/page/**"; ttl = "5m"; },
    { path = "/async/**"; methods = ["POST"]; invalidate = ["*"]; async = true; },
    { path = "/tagged/**"; methods = ["POST"]; tags = ["all"]; },
    { path = "/never/**"; client_cache = "never"; }'
targets='/page/a /elsewhere /async/a /tagged/a /never/a'

gets /page/a MISS 'GET /page/a #1'
await is_hit /page/a
for target in $targets; do
    get "$target" -d ''
    is "$target: status" "$(status)" 200
done
for how in stop pause; do
    redis $how
    for target in $targets; do
        for method in POST DELETE; do
            get "$target" -X $method -d ''
            # Of the routes that take POST alone a DELETE has none.
            is "$how: $method $target: status" "$(status)" 503
            backend only DELETE "$target" 0
            backend only POST "$target" 1
        done
        get "$target" --max-time 5
        is "$how: GET $target: status" "$(status)" 200
    done
    grep -q 'POST /elsewhere: refused, .*cache.on_unreachable' "$DIR/log/larder" || fail "no line in the log"
    case $how in
    stop) redis start ;;
    pause) redis resume ;;
    esac
    back() {
        get /back -d '' && test "$(status)" = 200
    }
    await back
done
get /elsewhere -d ''
is "when it is back: X-Cache-Invalidate" "$(field X-Cache-Invalidate)" done
"$LARDERCTL" -f "$DIR/larder.conf" --json status | tr -d ' ' | grep -q '"pending":0' || fail "the journal holds something"
