# What was stored before an operator changed the tags of its route is a plain miss with a reason of its
# own, and not reported as damaged. So is what an older Larder stored, which named its tags otherwise.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

routes() {
    conf routes="{ path = \"/page\"; ttl = \"5m\"; tags = [$1]; directory_tags = $2; }"
}
reread() {
    test "$(grep -c 'read again' "$DIR/log/larder")" -eq "$1"
}
explains() {
    "$LARDERCTL" -f "$DIR/larder.conf" explain "$url/page" > "$DIR/explained" || fail "explain"
    grep -q "^Next: *$1" "$DIR/explained" || fail "after $2: $(cat "$DIR/explained")"
}

site routes='{ path = "/page"; ttl = "5m"; tags = ["a"]; }'
get /page
await is_hit /page
n=0
change() {
    n=$((n + 1))
    routes "$@"
    pool signal HUP
    await reread $n
    explains 'MISS (tags-changed)' "$*"
    get /page
    is "after $*: X-Cache" "$(field X-Cache)" MISS
    await is_hit /page
}
change '"b"' 0
change '"b", "c"' 0
change '"c", "b"' 0
change '"c", "b"' 2
change '"c"' 2

# A tag less at the end is one that the page has brought itself, so to speak: it is still asked about.
n=$((n + 1))
routes '"c"' 1
pool signal HUP
await reread $n
explains HIT 'fewer directories'

if grep -q damaged "$DIR/log/larder"; then
    fail "a change of tags is no damage"
fi
# Which what really is damaged still is.
redis cli setrange "$(redis entries)" 150 X > /dev/null
explains 'MISS (uri-miss)' damage
grep -q damaged "$DIR/log/larder" || fail "a damaged entry is not in the log"
