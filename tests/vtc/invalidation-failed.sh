# A mutation whose invalidation fails is answered all the same, in time, and it is said that it did.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site cache='invalidate_timeout = "300ms";' \
    routes='{ path = "/**"; resource = "r"; ttl = "5m"; invalidate = ["r:*"]; }'
gets /page MISS 'GET /page #1'
redis stored 1
get /page -d ''
is "X-Cache-Invalidate" "$(field X-Cache-Invalidate)" done
redis pause
get /page -d '' --max-time 10
is "status" "$(status)" 200
is "X-Cache-Invalidate" "$(field X-Cache-Invalidate)" failed
backend only POST /page 2
grep -q 'invalidation of .*failed' "$DIR/log/larder"
redis resume
