# A reload does not leave a journal behind that Redis has not got yet.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

settings='invalidate_timeout = "300ms"; budget = "100ms";'
routes='{ path = "/**"; ttl = "5m"; }'
site cache="$settings" redis='breaker_max_rest = "100ms";' routes="$routes"
mkdir "$DIR/elsewhere"
chmod 1777 "$DIR/elsewhere"

in_log() {
    grep -q "$1" "$DIR/log/larder"
}
await is_hit /page
# Out of reach, and nothing of what it was told is on its way to it.
mv "$DIR/redis.sock" "$DIR/hidden.sock"
redis-cli -s "$DIR/hidden.sock" client kill type normal
get /page -d ''
is "X-Cache-Invalidate" "$(field X-Cache-Invalidate)" journal
conf cache="$settings state_dir = \"$DIR/elsewhere\";" redis='breaker_max_rest = "100ms";' \
    routes="$routes"
pool signal HUP
await in_log 'configuration refused, the old one stays: .*[0-9] records'
mv "$DIR/hidden.sock" "$DIR/redis.sock"
await in_log 'worked off'
get /page
is "after the journal: X-Cache" "$(field X-Cache)" MISS

# There is nothing in it any more.
pool signal HUP
await in_log 'read again'
await is_hit /page
