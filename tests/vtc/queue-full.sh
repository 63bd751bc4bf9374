# A full queue skips the store and says so; it never holds an answer back.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site cache='store_queue_bytes = "64K";' routes='{ path = "/**"; ttl = "1m"; }'
for _ in 1 2; do
    get '/page?size=100000'
    is "X-Cache" "$(field X-Cache)" MISS
done
skipped() {
    test "$("$LARDERCTL" -f "$DIR/larder.conf" --json stats | tr ',{' '\n\n' |
        sed -n 's/.*"store_skipped_queue": *\([0-9]*\).*/\1/p')" -eq 2
}
await skipped
redis count 0
