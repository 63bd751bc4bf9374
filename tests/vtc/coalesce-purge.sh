# Nobody joins a fetch that a mutation has killed, with one process and with two.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case
. crowd
. two-pools

two_pools routes='{ path = "/**"; resource = "r"; ttl = "1m"; invalidate = ["r:*"]; }'
for round in 1 2; do
    # The first request waits at another gate than the second.
    page="/page$round?gate=late$round&after=1&gate=early$round"
    crowd early 3 "$page"
    backend saw GET "$page" 1
    await waiting 2
    get /mutate -d ''
    is "status" "$(status)" 200
    crowd late 3 "$page"
    crowd there 3 "$other$page"
    backend saw GET "$page" 2
    await waiting 7
    backend open "early$round"
    gathered early
    redis stored 1
    backend open "late$round"
    gathered late
    gathered there
    backend only GET "$page" 2
    all early "GET $page #1"
    all late "GET $page #2"
    all there "GET $page #2"
    gets "$page" HIT "GET $page #2" -H "Host: $host"
done

# Tags that the response brings: who comes before the head has it, who comes after a purge does not.
page='/own?midgate=own&size=200000&h=Surrogate-Key:product-7'
crowd own 2 "$page"
backend saw GET "$page" 1
await waiting 1
crowd more 2 "$page"
await waiting 3
backend open own
gathered own
gathered more
backend only GET "$page" 1
