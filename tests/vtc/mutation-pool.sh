# On four processes: what is read after a mutation was answered is newer than the mutation.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site -n 4 routes='{ path = "/api/**"; resource = "api"; ttl = "1m"; invalidate = ["api:*"]; }'

round=0
while [ "$round" -lt 40 ]; do
    round=$((round + 1))
    # A hit somewhere, so that there is something to drop; whichever processes answer.
    get /api/page
    get /api/page
    get /api/page -d ''
    is "status" "$(status)" 200
    get /api/page
    is "X-Cache right after the mutation" "$(field X-Cache)" MISS
    if [ $((round % 10)) -eq 0 ]; then
        redis stored 1
        get /api/page
        is "X-Cache" "$(field X-Cache)" HIT
    fi
done
