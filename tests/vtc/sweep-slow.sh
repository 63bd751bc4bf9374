# A Redis of so many keys that going over them takes longer than a mutation may wait: responses are dropped
# at once, application values in the background, also if the process ends; Redis is used meanwhile.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
# time: 180
. case

site -n 1 cache='invalidate_timeout = "50ms";' \
    routes='{ path = "/**"; resource = "r"; ttl = "5m"; invalidate = ["r:*", "app:*"]; }'
fill() {
    redis cli eval 'for i = 1, 600000 do redis.call("SET", KEYS[1] .. i, "1") end' 1 "$1" > /dev/null
}
is_gone() {
    test "$(redis cli exists larder:app:1 larder:app:2)" -eq 0
}
swept() {
    "$LARDERCTL" --config "$DIR/larder.conf" status --json | grep -q '"sweeps":0'
}
fill larder:other:
await is_hit /page
redis cli mset larder:app:1 a larder:app:2 b
get /page -d ''
is "X-Cache-Invalidate" "$(field X-Cache-Invalidate)" queued
# It is not the store of responses that is in doubt.
get /page
case $(field Cache-Status) in
*detail=journal*) fail "while it is swept: $(field Cache-Status)" ;;
esac
await is_hit /page
await is_gone
await swept

# Half-way the process ends: the next one goes on.
redis cli mset larder:app:1 a larder:app:2 b
redis pause
get /page -d ''
is "out of reach: X-Cache-Invalidate" "$(field X-Cache-Invalidate)" journal
kill -9 $(pool pids)
redis resume
pool start -n 1
await is_gone
await swept
is "what does not match" "$(redis cli exists larder:other:1 larder:other:600000)" 2

# A stop does not wait for the sweep.
fill larder:more:
redis cli mset larder:app:1 a larder:app:2 b
get /page -d ''
is "X-Cache-Invalidate" "$(field X-Cache-Invalidate)" queued
pool term
pool start -n 1
await is_gone
