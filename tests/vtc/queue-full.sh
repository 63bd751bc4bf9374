# A full queue skips the store and counts it; it never holds an answer back.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

# A lease would be a write as well.
site cache='max_object = "64K"; store_queue_bytes = "64K";' coalesce='enabled = false;' routes='{ path = "/**"; ttl = "5m"; }'
skipped() {
    test "$("$LARDERCTL" -f "$DIR/larder.conf" --json stats | tr ',{' '\n\n' |
        sed -n 's/^ *"store_skipped_queue": *\([0-9]*\).*/\1/p')" -ge 1
}
# There is one entry, and every page has its generation, so that reading is all that the next requests
# need of Redis.
gets /page MISS 'GET /page #1'
redis stored 1
first=$(redis entries)
for page in 1 2 3 4; do
    get "/page/$page?size=60000"
    redis stored 2
    redis cli del "$(redis entries | grep -v -x -F -e "$first")" > /dev/null
done
redis stored 1
redis cli client pause 30000 write > /dev/null
for page in 1 2 3 4; do
    get "/page/$page?size=60000" --max-time 5
    is "X-Cache" "$(field X-Cache)" MISS
done
gets /page HIT 'GET /page #1'
await skipped
redis cli client unpause > /dev/null

# It goes on.
get '/later?size=60000'
await is_hit '/later?size=60000'
