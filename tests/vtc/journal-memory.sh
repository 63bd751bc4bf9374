# Where there is no directory for the journal, a mutation that Redis does not take is remembered by the
# process; that ends with the mutation, like an intent on the disk. Of a full Redis nothing need be
# remembered.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site cache="state_dir = \"$DIR/nowhere\";" routes='{ path = "/**"; ttl = "5m"; tags = ["shop"]; }'

status_says() {
    "$LARDERCTL" --config "$DIR/larder.conf" status --json | grep -q "\"in_memory\":$1"
}
for how in 200 404; do
    await is_hit /page
    redis cli config set min-replicas-to-write 1
    curl -sS -o /dev/null -d '' "$url/page?gate=$how&status=$how" &
    mutation=$!
    backend saw POST "/page?gate=$how&status=$how" 1
    status_says 1 || fail "$how: the mutation is not remembered"
    get /page
    is "$how: meanwhile: X-Cache" "$(field X-Cache)" HIT
    redis cli config set min-replicas-to-write 0
    backend open "$how"
    wait "$mutation"
    await status_says 0
    get /page
    case $how in
    200) is "$how: afterwards: X-Cache" "$(field X-Cache)" MISS ;;
    404) is "$how: afterwards: X-Cache" "$(field X-Cache)" HIT ;;
    esac
done

await is_hit /page
redis cli config set maxmemory 1
curl -sS -o /dev/null -d '' "$url/page?gate=full" &
mutation=$!
backend saw POST "/page?gate=full" 1
status_says 0 || fail "full: the mutation is remembered"
is "full: the register" "$(redis cli hlen larder:gen-mutations)" 1
backend open full
wait "$mutation"
redis cli config set maxmemory 0
get /page
is "full: afterwards: X-Cache" "$(field X-Cache)" MISS
