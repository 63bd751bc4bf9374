# A mutation of which nobody knows what became: what it may have changed is not stored until no backend
# can be at it any more, whether the answer broke off, did not come in time, or the process was killed.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site upstream='timeout = "1s"; connect_timeout = "200ms";' cache='mutation_max = "4s";' routes='
    { path = "/**"; ttl = "1m"; tags = ["shop"]; }'

detail() {
    field Cache-Status | sed -n 's/.*detail=\([a-z-]*\).*/\1/p'
}
marked() {
    case $(redis cli get larder:gen:tag:shop) in
    M*) ;;
    *) fail "after $1 the tag is '$(redis cli get larder:gen:tag:shop)', not marked" ;;
    esac
    get /page
    is "after $1: X-Cache" "$(field X-Cache)" MISS
    is "after $1: detail" "$(detail)" changing
    left=$(redis cli pttl larder:gen:tag:shop)
    test "$left" -gt 0 && test "$left" -le 8000 || fail "it is marked for $left ms"
}
settles() {
    await is_hit /page
}

await is_hit /page
for how in 'hangup=1 502' 'gate=never 504' 'status=502 502' 'status=504 504'; do
    get "/page?${how% *}" -d ''
    is "$how: status" "$(status)" "${how#* }"
    is "$how: X-Cache-Invalidate" "$(field X-Cache-Invalidate)" marked
    marked "$how"
    settles
done

# Redis has lost the mark before the outcome is known to be unknown.
await is_hit /page
curl -sS -o /dev/null -D "$DIR/head" -d '' "$url/page?gate=lost" &
mutation=$!
backend saw POST '/page?gate=lost' 1
is "marks that are lost" "$(redis cli del larder:gen:tag:shop)" 1
wait "$mutation"
is "after a loss: status" "$(status)" 504
marked "a loss"
settles

# Never heard of: nothing has changed.
await is_hit /page
backend stop
get /page -d ''
is "without a backend: status" "$(status)" 502
is "without a backend: X-Cache-Invalidate" "$(field X-Cache-Invalidate)" ''
get /page
is "without a backend: X-Cache" "$(field X-Cache)" HIT
backend start

# Killed half-way: the mark stays, and ends.
curl -sS -o /dev/null -d '' "$url/page?gate=killed" &
mutation=$!
backend saw POST '/page?gate=killed' 1
kill -9 $(pool pids)
wait "$mutation" || true
pool start -n 1
marked "a kill"
settles
