# Between processes: who waits is told when there is something, when it is of no use to wait, and goes
# by himself when it takes too long.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case
. crowd
. two-pools

two_pools coalesce='wait = "3s";' routes='{ path = "/**"; ttl = "1m"; }'

# Stored: all of the other process have it at once, and it asked nobody.
page='/stored?gate=stored'
crowd first 3 "$page"
backend saw GET "$page" 1
crowd stored 5 "$other$page"
await waiting 7
started=$(date +%s%N)
backend open stored
gathered stored
gathered first
test $((($(date +%s%N) - started) / 1000000)) -lt 1000 || fail "they were not woken, they found out"
all stored "GET $page #1"
backend only GET "$page" 1
is "hits" "$(said stored '^x-cache: hit')" 5

# Not to be shared: all go at once.
page='/private?gate=private&h=Cache-Control:private'
crowd first 1 "$page"
backend saw GET "$page" 1
crowd private 5 "$other$page"
await waiting 5
backend open private
gathered private
gathered first
backend only GET "$page" 6

# Too slow: each goes when he has waited for so long, here and there.
page='/slow?gate=slow'
crowd first 1 "$page"
backend saw GET "$page" 1
crowd here 2 "$page"
crowd there 2 "$other$page"
await waiting 4
backend saw GET "$page" 5
backend open slow
gathered first
gathered here
gathered there
backend only GET "$page" 5
is "counted" "$(counter coalesce_timeouts)" 4

# The one that fetches is told to end: it finishes what it has in hand, and the others have it.
page='/term?gate=term'
crowd first 2 "$page"
backend saw GET "$page" 1
crowd term 3 "$other$page"
await waiting 4
kill -TERM "$first"
sleep 0.2
backend open term
gathered term
gathered first
backend only GET "$page" 1

# One that waits for another's fetch is told to end: it does not wait any longer.
SOCKET=$DIR/a.sock pool start -n 1
page='/end?gate=end'
crowd first 1 "$page"
backend saw GET "$page" 1
crowd end 2 "$other$page"
await waiting 2
kill -TERM "$second"
backend saw GET "$page" 3
backend open end
gathered end
gathered first
