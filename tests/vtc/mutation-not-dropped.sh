# Where neither Redis nor the journal takes what a mutation has changed, its record stays in the register,
# and the next process drops it.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site cache="state_dir = \"$DIR/nowhere\";" routes='{ path = "/**"; ttl = "5m"; tags = ["shop"]; }'
await is_hit /page
curl -sS -o /dev/null -D "$DIR/posted" -d '' "$url/page?gate=1" &
mutation=$!
backend saw POST "/page?gate=1" 1
redis cli acl setuser default -del -unlink
backend open 1
wait "$mutation"
grep -q '^X-Cache-Invalidate: failed' "$DIR/posted" || fail "$(cat "$DIR/posted")"
silent() {
    redis cli hkeys larder:gen-mutations | grep -qx '=tag:shop'
}
await silent
pool signal KILL
redis cli acl setuser default +del +unlink
pool start -n 1
get /page
is "the first request to the next process: X-Cache" "$(field X-Cache)" MISS
