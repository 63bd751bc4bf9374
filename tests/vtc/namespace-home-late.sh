# A mutation that is under way while a reload brings the machine home from another namespace: what it changes
# is dropped in the one that is served by then, before its answer, also where nobody knows what became of it.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case
. two-pools

routes='
    { path = "/late"; methods = ["POST"]; tags = ["t"]; commit_delay = "30s"; },
    { path = "/async"; methods = ["POST"]; tags = ["t"]; invalidate = ["x:*"]; async = true; },
    { path = "/**"; ttl = "1h"; tags = ["t"]; }'
two_pools routes="$routes"
SOCKET=$DIR/b.sock pool term
conf file=away.conf routes="$routes"
home=$(cat "$DIR/away.conf")
away=$(echo "$home" | sed 's/^redis = {/redis = { namespace = "away";/')
is_home() {
    curl -s -H "Host: $host" -D - -o "$DIR/home" "$1/page" | grep -q -i '^x-cache: hit'
}
in_log() {
    grep -c "$1" "$DIR/log/larder" || true
}
is_told() {
    test "$(sed -n 's/.*the journal is worked off: Redis has \([0-9]*\) .*/+ \1/p' "$DIR/log/larder" | xargs expr 0)" -eq \
        "$(grep -c "another Redis, or namespace" "$DIR/log/larder")"
}
is_reloaded() {
    test "$(in_log 'read again')" -eq "$1"
}
# What is stored there now is not the page from before the change.
is_new() {
    ! is_home "$1" || test "$(cat "$DIR/home")" != "$before"
}
# late NUMBER TARGET GATE: a POST begins away, and its backend ends it after the machine has come home.
late() {
    : > "$DIR/head"
    echo "$away" > "$DIR/away.conf"
    SOCKET=$DIR/b.sock pool start -n 1 "$LARDER_FCGI" -f "$DIR/away.conf"
    curl -sS -D "$DIR/head" -o "$DIR/body" -H "Host: $host" -d '' "$other$2" &
    post=$!
    await backend least POST "$2" 1
    case $2 in
    *midgate*) await test -s "$DIR/head" ;;
    esac
    echo "$home" > "$DIR/away.conf"
    SOCKET=$DIR/b.sock pool signal HUP
    await is_reloaded "$1"
    await is_told
    await is_home "$other"
    await is_home "$url"
    before=$(cat "$DIR/home")
    backend open "$3"
    wait "$post" || true
    for side in "$url" "$other"; do
        case $2 in
        /async*) await is_new "$side" ;;
        *) is_new "$side" || fail "$2: the page from before the change" ;;
        esac
    done
}
await is_home "$url"
late 1 '/api?gate=g' g
grep -q -i '^x-cache-invalidate: done' "$DIR/head" || fail "$(cat "$DIR/head")"
SOCKET=$DIR/b.sock pool term

# Nobody knows what became of it: so for as long as its backend may be at it.
late 2 '/api?gate=h&hangup=1' h
redis cli hget larder:gen-mutations =all | grep -q '^[1-9]' ||
    fail "$(redis cli hgetall larder:gen-mutations)"
SOCKET=$DIR/b.sock pool term
redis cli del larder:gen-mutations > /dev/null

# It has come home between the head and the end of the answer.
late 3 '/api?size=20000&midgate=i' i
SOCKET=$DIR/b.sock pool term

# What is dropped behind the answer.
late 4 '/async?gate=j' j
SOCKET=$DIR/b.sock pool term

# And for as long as its script goes on.
late 5 '/late?gate=k' k
left=$(redis cli hget larder:gen-mutations =all | cut -d ' ' -f 4)
test "${left:-0}" -gt 20000 && test "$left" -le 30000 || fail "$(redis cli hgetall larder:gen-mutations)"
