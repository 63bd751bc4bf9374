# A mutation while Redis is out of reach: answered in time, noted in the journal of the machine; until
# Redis has it, no process of the machine uses what is in Redis; then it is forgotten, also if the
# process that noted it is no more.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

settings='invalidate_timeout = "300ms"; mutation_max = "3s";'
routes='{ path = "/**"; resource = "r"; ttl = "5m"; invalidate = ["r:*"]; }'
site -n 2 cache="$settings" redis='breaker_max_rest = "100ms";' upstream='timeout = "2s"; connect_timeout = "500ms";' \
    routes="$routes"

journal() {
    cat "$DIR"/run/journal-*
}
detail() {
    field Cache-Status | sed -n 's/.*detail=\([a-z-]*\).*/\1/p'
}
is_empty() {
    test "$(stat -c %s "$DIR"/run/journal-* | sort -u)" = 4096
}
# Each of the processes, which take turns as they like.
distrusted() {
    for again in 1 2 3 4 5 6; do
        get /page
        is "$1: X-Cache" "$(field X-Cache)" MISS
        is "$1: detail" "$(detail)" journal
    done
}

await is_hit /page
get /page -d ''
is "X-Cache-Invalidate" "$(field X-Cache-Invalidate)" done
await is_hit /page

redis pause
get /page -d '' --max-time 10
is "status" "$(status)" 200
is "X-Cache-Invalidate" "$(field X-Cache-Invalidate)" journal
journal | grep -a -q 'resource:r' || fail "the journal: $(journal | strings)"
grep -q 'went to the journal' "$DIR/log/larder"
distrusted "while it is away"
# A mutation that fails leaves nothing behind.
get '/page?status=500' -d '' --max-time 10
is "a failed one: X-Cache-Invalidate" "$(field X-Cache-Invalidate)" ''
redis resume
await is_empty
await is_hit /page
grep -q 'the journal is worked off' "$DIR/log/larder"

# Who noted it is killed, and everybody else too.
redis pause
get /page -d '' --max-time 10
is "X-Cache-Invalidate" "$(field X-Cache-Invalidate)" journal
kill -9 $(pool pids)
redis resume
pool start -n 2
await is_empty
get /page
is "after a kill: body" "$(cat "$DIR/body" | sed 's/#.*//')" 'GET /page '
await is_hit /page

# Killed while the backend was at it: Redis is told, and all drop it until the backend can be at it no
# more. While the process lives it is no reason not to trust Redis.
redis pause
curl -sS -o /dev/null -d '' "$url/page?gate=killed" &
mutation=$!
backend saw POST '/page?gate=killed' 1
redis resume
await is_hit /page
journal | grep -a -q ' mutation [0-9a-f]* ' || fail "the journal: $(journal | strings)"
redis pause
kill -9 $(pool pids)
wait "$mutation" || true
pool start -n 2
distrusted "beside an intent"
redis resume
await is_empty
is "the register" "$(redis cli hexists larder:gen-mutations =resource:r)" 1
await is_hit /page
redis cli del larder:gen-mutations > /dev/null

# on_unreachable = "refuse": the backend does not hear of it.
conf cache="$settings on_unreachable = \"refuse\";" redis='breaker_max_rest = "100ms";' \
    upstream='timeout = "2s"; connect_timeout = "500ms";' routes="$routes"
pool term
pool start -n 2
redis pause
posts=$(backend count POST /page)
get /page -d '' --max-time 10
is "refused: status" "$(status)" 503
is "refused: the backend" "$(backend count POST /page)" "$posts"
redis resume
await is_hit /page

# Where the journal cannot be written the answer and the log say so.
conf cache="$settings state_dir = \"$DIR/nowhere\";" redis='breaker_max_rest = "100ms";' \
    upstream='timeout = "2s"; connect_timeout = "500ms";' routes="$routes"
pool term
pool start -n 1
grep -q 'known to this process alone' "$DIR/log/larder"
await is_hit /page
redis pause
get /page -d '' --max-time 10
is "without a journal: status" "$(status)" 200
is "without a journal: X-Cache-Invalidate" "$(field X-Cache-Invalidate)" failed
get /page
is "without a journal: X-Cache" "$(field X-Cache)" MISS
is "without a journal: detail" "$(detail)" journal
redis resume
await is_hit /page
