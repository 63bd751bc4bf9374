# larderctl explain says what the next request will get, and why; it changes nothing.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

routes='
    { path = "/page/**"; ttl = "5m"; resource = "thing"; },
    { path = "/short/**"; ttl = "1s"; stale_while_revalidate = "1h"; },
    { path = "/never/**"; client_cache = "never"; },
    { path = "/user/**"; ttl = "5m"; user = "REMOTE_USER"; }'
site -n 2 routes="$routes"

explain() {
    "$LARDERCTL" -f "$DIR/larder.conf" explain "$@"
}
# The word of X-Cache, and the reason, that it announces.
says() {
    wanted=$1
    shift
    explain "$url$@" > "$DIR/explained" || fail "explain $*: exit code $?"
    is "explain $*" "$(sed -n 's/^Next: *\([A-Z]*\)\( ([a-z-]*)\)\{0,1\}:.*/\1\2/p' "$DIR/explained")" \
        "$wanted"
}
line() {
    grep -q "$1" "$DIR/explained" || fail "no '$1' in: $(cat "$DIR/explained")"
}
asks() {
    is "requests to the backend" "$(backend total)" "$1"
}

page='/page/a?h=ETag:%22a%22'
says 'MISS (uri-miss)' "$page"
line '^Request: *GET http://127.0.0.1:[0-9]*/page/a'
line '^Route: */page/\*\*$'
line '^Key: *larder:thing:response:[0-9a-f]\{64\}$'
line '^Stored: *nothing'
line 'else for 5m'
asks 0
redis stored 0
gets "$page" MISS "GET $page #1"
await is_hit "$page"
keys=$(redis cli --raw --scan | sort)
hits() {
    "$LARDERCTL" -f "$DIR/larder.conf" --json stats | tr ',{' '\n\n' |
        sed -n 's/^ *"\(hits\|misses\|requests\|bypasses\|stale\)": *\([0-9]*\).*/\1 \2/p'
}
counted=$(hits)

says HIT "$page"
line '^Stored: *200 with [0-9]* bytes'
line 'ETag: "a"'
line '^Fresh: *for another [45]m'
says 'BYPASS (cookie-in-request)' "$page" -H 'Cookie: session=1'
says 'BYPASS (authorization-in-request)' "$page" -H 'Authorization: Basic x'
says 'BYPASS (precondition-in-request)' "$page" -H 'If-Match: *'
says 'BYPASS (method)' "$page" -m POST
says 'BYPASS (route-never)' /never/a
says 'BYPASS (no-route)' /elsewhere
line '^Route: *none matches'
says 'BYPASS (no-user)' /user/a
says 'MISS (uri-miss)' /user/a --as anna
line '^Key: *larder:user:anna:response:'
says 'HIT' "$page" -H 'Cache-Control: only-if-cached'
says 'MISS (only-if-cached)' /page/b -H 'Cache-Control: only-if-cached'

# As a path, with a host beside it; and as JSON.
explain "$page" -H "Host: 127.0.0.1:$PORT1" | grep -q '^Next: *HIT: ' || fail "by path and Host"
explain "https://127.0.0.1:$PORT1$page" | grep -q '^Next: *MISS (uri-miss)' || fail "https is another URL"
explain --json "$url$page" > "$DIR/json"
for member in '"x_cache": *"HIT"' '"fresh_left_ms": *2[0-9]*' '"status": *200' '"path": *"/page/' \
    '"tags": *\[' '"reason": *"none"'; do
    grep -q "$member" "$DIR/json" || fail "no $member in: $(cat "$DIR/json")"
done

# Nothing of this has left a trace.
is "keys" "$(redis cli --raw --scan | sort)" "$keys"
is "counters" "$(hits)" "$counted"
asks 1
is_hit "$page"

# What is said is what is done.
gets /short/a MISS 'GET /short/a #1'
await sh -c "redis cli --raw --scan --pattern '*response*' | wc -l | grep -q -x 2"
sleep 1.2
says 'STALE (stale)' /short/a
line '^Fresh: *no longer, since'
get /short/a
is "X-Cache" "$(field X-Cache)" STALE
validated='/page/c?h=Cache-Control:max-age=1&h=ETag:%22a%22'
gets "$validated" MISS "GET $validated #1"
await is_hit "$validated"
sleep 1.2
says 'REVALIDATED (stale)' "$validated"
line 'if it fails, what is stored is used'

# Variants.
varied='/page/v?h=Vary:X-A'
get "$varied" -H 'X-A: 1'
await sh -c "curl -s -o /dev/null -D - -H 'X-A: 1' '$url$varied' | grep -q -i '^x-cache: hit'"
says HIT "$varied" -H 'X-A: 1'
line '^Vary: *x-a;'
says 'MISS (vary-miss)' "$varied" -H 'X-A: 2'

# A change.
get "$page" -X POST -d ''
says 'MISS (invalidated)' "$page"
get "$page"
is "X-Cache" "$(field X-Cache)" MISS

# Mistakes.
explain ftp://a/b 2> "$DIR/error" && fail "ftp"
grep -q 'neither http://HOST/PATH' "$DIR/error" || fail "$(cat "$DIR/error")"
explain /page -H nonsense 2> "$DIR/error" && fail "a field without a colon"
grep -q 'not of the form "Name: value"' "$DIR/error" || fail "$(cat "$DIR/error")"
explain '/page/a b' 2> "$DIR/error" && fail "a blank in a target"
grep -q 'blank' "$DIR/error" || fail "$(cat "$DIR/error")"

# What has gone wrong with the backend, whichever process has seen it, until the setting is another.
reads=0
again() {
    conf routes="$routes" "$@"
    pool signal HUP
    reads=$((reads + 2))
    await sh -c "test \$(grep -c 'read again' '$DIR/log/larder') -ge $reads"
}
again url="$url"
get /elsewhere
is "a loop: status" "$(status)" 508
explain "$url$page" > "$DIR/explained"
line "^Loop: .*upstream.url = \"$url\" leads back"
again
explain "$url$page" > "$DIR/explained"
grep -q '^Loop:' "$DIR/explained" && fail "a loop that was mended: $(cat "$DIR/explained")"
backend stop
get /elsewhere
is "no backend: status" "$(status)" 502
explain "$url$page" > "$DIR/explained"
line '^Backend: *its last failure was .* ago: backend .*connect'

# Without Redis, and without a pool.
redis pause
says 'MISS (no-generations)' "$page"
line '^Stored: *unknown: redis .*in time'
redis resume
pool signal TERM
gone() {
    ! explain "$url$page" > /dev/null 2> "$DIR/error"
}
await gone
grep -q 'no process answers' "$DIR/error" || fail "$(cat "$DIR/error")"
