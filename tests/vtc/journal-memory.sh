# Where there is no directory for the journal, what a full Redis did not take is remembered by the
# process; that ends with the mutation, like an intent on the disk.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site cache="state_dir = \"$DIR/nowhere\";" routes='{ path = "/**"; ttl = "5m"; tags = ["shop"]; }'

status_says() {
    "$LARDERCTL" --config "$DIR/larder.conf" status --json | grep -q "\"in_memory\":$1"
}
for how in 200 404; do
    await is_hit /page
    redis cli config set maxmemory 1
    curl -sS -o /dev/null -d '' "$url/page?gate=$how&status=$how" &
    mutation=$!
    backend saw POST "/page?gate=$how&status=$how" 1
    status_says 1 || fail "$how: the mutation is not remembered"
    get /page
    is "$how: meanwhile: X-Cache" "$(field X-Cache)" MISS
    redis cli config set maxmemory 0
    backend open "$how"
    wait "$mutation"
    await status_says 0
    await is_hit /page
done
