# A machine whose namespace is another one for a while: what it changes meanwhile is not known to the others,
# so all of the first one is dropped when it comes back, by a restart or by a reload.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case
. two-pools

routes='{ path = "/**"; ttl = "1h"; }'
two_pools routes="$routes"
SOCKET=$DIR/b.sock pool term
conf file=away.conf routes="$routes"
home=$(cat "$DIR/away.conf")
away=$(echo "$home" | sed 's/^redis = {/redis = { namespace = "away";/')
start_second() {
    SOCKET=$DIR/b.sock pool start -n 1 "$LARDER_FCGI" -f "$DIR/away.conf"
}
in_log() {
    test "$(grep -c "another Redis, or namespace" "$DIR/log/larder")" -eq "$1"
}
is_told() {
    test "$(sed -n 's/.*the journal is worked off: Redis has \([0-9]*\) .*/+ \1/p' "$DIR/log/larder" | xargs expr 0)" -eq \
        "$(grep -c "another Redis, or namespace" "$DIR/log/larder")"
}
is_home() {
    curl -s -H "Host: $host" -D - -o "$DIR/home" "$1/page" | grep -q -i '^x-cache: hit'
}
change() {
    curl -sS -o "$DIR/body" -H "Host: $host" -d '' "$other/page"
}
start_second
in_log 0

# By a restart.
await is_home "$url"
is_home "$other" || fail "the two do not share"
SOCKET=$DIR/b.sock pool term
echo "$away" > "$DIR/away.conf"
start_second
change
before=$(cat "$DIR/home")
SOCKET=$DIR/b.sock pool term
echo "$home" > "$DIR/away.conf"
start_second
await in_log 2
await sh -c 'redis cli exists larder:gen-news | grep -q 1'
for side in "$other" "$url"; do
    await is_home "$side"
    test "$(cat "$DIR/home")" != "$before" || fail "the page from before the change"
done

# By a reload.
reloaded() {
    test "$(grep -c 'read again' "$DIR/log/larder")" -gt "$lines"
}
reload_one() {
    lines=$(grep -c 'read again' "$DIR/log/larder" || true)
    kill -HUP "$1"
    await reloaded
}
reload() {
    reload_one "$(pool pids | xargs)"
}
echo "$away" > "$DIR/away.conf"
reload
change
before=$(cat "$DIR/home")
echo "$home" > "$DIR/away.conf"
reload
await in_log 4
for side in "$other" "$url"; do
    await is_home "$side"
    test "$(cat "$DIR/home")" != "$before" || fail "after a reload: the page from before the change"
done
# And nothing more than that.
SOCKET=$DIR/b.sock pool term
start_second
is_home "$other" || fail "a restart alone has dropped it"
in_log 4

# Two processes of one configuration: the first that comes home notes it, and the other one has changed
# something since.
second=$(pool pids | xargs)
kill "$first"
await sh -c "! kill -0 $first 2> /dev/null"
SOCKET=$DIR/a.sock pool start -n 1 "$LARDER_FCGI" -f "$DIR/away.conf"
first=$(pool pids | xargs)
echo "$second" > "$DIR/pool.pids"
echo "$away" > "$DIR/away.conf"
reload_one "$first"
reload_one "$second"
echo "$home" > "$DIR/away.conf"
reload_one "$first"
await is_told
await is_home "$url"
before=$(cat "$DIR/home")
change
is_home "$url" || fail "another namespace was changed, and not this one"
reload_one "$second"
in_log 8
await is_told
for side in "$other" "$url"; do
    ! is_home "$side" || test "$(cat "$DIR/home")" != "$before" ||
        fail "the second to come home: the page from before the change"
done

# Without a state directory the process itself knows it.
reload_twice() {
    echo "$away" > "$DIR/away.conf"
    reload
    change
    before=$(cat "$DIR/home")
    echo "$home" > "$DIR/away.conf"
    reload
}
SOCKET=$DIR/b.sock pool term
home=$(echo "$home" | sed "s|state_dir = \"[^\"]*\"|state_dir = \"$DIR/nowhere\"|")
away=$(echo "$home" | sed 's/^redis = {/redis = { namespace = "away";/')
echo "$home" > "$DIR/away.conf"
grep -q 'nowhere' "$DIR/away.conf" || fail "$home"
start_second
is_home "$other" || fail "a start without a state directory has dropped it"
in_log 8
reload_twice
await in_log 10
is_new() {
    ! is_home "$1" || test "$(cat "$DIR/home")" != "$before"
}
is_new "$other" || fail "without a state directory: the page from before the change"
await is_new "$url"
SOCKET=$DIR/b.sock pool term

# Two pools whose configurations have the same relative name have a note each.
mkdir "$DIR/one" "$DIR/two"
cp "$DIR/larder.conf" "$DIR/one"
sed 's/^redis = {/redis = { namespace = "two";/' "$DIR/larder.conf" > "$DIR/two/larder.conf"
for name in one two one two; do
    (
        cd "$DIR/$name"
        SOCKET=$DIR/b.sock pool start -n 1 "$LARDER_FCGI" -f larder.conf
        SOCKET=$DIR/b.sock pool term
    )
done
in_log 10
