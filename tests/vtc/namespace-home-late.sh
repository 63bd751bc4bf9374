# A mutation that is under way while a reload brings the machine home from another namespace: what it changes
# is dropped in the one that is served by then, before its answer, also where nobody knows what became of it.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case
. two-pools

routes='{ path = "/**"; ttl = "1h"; tags = ["t"]; }'
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
# late NUMBER TARGET GATE: a POST begins away, and its backend ends it after the machine has come home.
late() {
    echo "$away" > "$DIR/away.conf"
    SOCKET=$DIR/b.sock pool start -n 1 "$LARDER_FCGI" -f "$DIR/away.conf"
    curl -sS -D "$DIR/head" -o "$DIR/body" -H "Host: $host" -d '' "$other$2" &
    post=$!
    await backend least POST "$2" 1
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
        if is_home "$side"; then
            test "$(cat "$DIR/home")" != "$before" || fail "$2: the page from before the change"
        fi
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
