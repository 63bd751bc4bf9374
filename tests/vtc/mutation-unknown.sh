# A mutation of which nobody knows what became: what it may have changed is dropped every few seconds until
# no backend can be at it any more, whether the answer broke off, did not come in time, or the process
# was killed.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site upstream='timeout = "1s"; connect_timeout = "200ms";' cache='mutation_max = "2s";' routes='
    { path = "/**"; ttl = "1m"; tags = ["shop"]; }'

silent() {
    test "$(redis cli hexists larder:gen-mutations =tag:shop)" -eq 1
}
over() {
    test "$(redis cli exists larder:gen-mutations)" -eq 0
}
changed() {
    get /page
    test "$(cat "$DIR/body")" != "$was"
}
# watched WHAT: it is stored and used, and dropped again and again.
watched() {
    await silent
    for again in 1 2; do
        await is_hit /page
        get /page
        was=$(cat "$DIR/body")
        begun=$(date +%s)
        await changed
        test $(($(date +%s) - begun)) -le 6 || fail "after $1 /page lives for $(($(date +%s) - begun)) s"
    done
}
forget() {
    redis cli del larder:gen-mutations > /dev/null
    await is_hit /page
}

await is_hit /page
for how in 'hangup=1 502' 'gate=never 504' 'status=502 502' 'status=504 504' \
    'size=200000&cut=70000 200'; do
    case $how in
    *cut*)
        curl -s -o /dev/null -D "$DIR/head" -d '' "$url/page?${how% *}" || true
        is "$how: X-Cache-Invalidate" "$(field X-Cache-Invalidate)" done
        ;;
    *)
        get "/page?${how% *}" -d ''
        is "$how: X-Cache-Invalidate" "$(field X-Cache-Invalidate)" unknown
        ;;
    esac
    is "$how: status" "$(status)" "${how#* }"
    watched "$how"
    forget
done

# Redis has lost the record of one that is under way: the process puts it back.
curl -sS -o /dev/null -d '' "$url/page?gate=lost" &
mutation=$!
backend saw POST '/page?gate=lost' 1
is "records that are lost" "$(redis cli del larder:gen-mutations)" 1
await silent
backend open lost
wait "$mutation" || true
forget

# Never heard of: nothing has changed.
backend stop
get /page -d ''
is "without a backend: status" "$(status)" 502
is "without a backend: X-Cache-Invalidate" "$(field X-Cache-Invalidate)" ''
get /page
is "without a backend: X-Cache" "$(field X-Cache)" HIT
is "without a backend: the register" "$(redis cli hlen larder:gen-mutations)" 0
backend start

# Killed half-way: the others find out, until it is over.
curl -sS -o /dev/null -d '' "$url/page?gate=killed" &
mutation=$!
backend saw POST '/page?gate=killed' 1
kill -9 $(pool pids)
wait "$mutation" || true
pool start -n 2
watched "a kill"
"$LARDERCTL" -f "$DIR/larder.conf" --json status | tr -d ' ' | grep -q '"silent":[12],"tag":"' ||
    fail "status: $("$LARDERCTL" -f "$DIR/larder.conf" status)"
await over
await is_hit /page
get /page
was=$(cat "$DIR/body")
sleep 4
changed && fail "it is dropped although it is over"
exit 0
