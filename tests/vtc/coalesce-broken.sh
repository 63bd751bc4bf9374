# A fetch that breaks off: who has begun to read it is cut off too, who waits fetches by himself, and
# nobody takes a half for a whole.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case
. crowd

site -n 1 routes='{ path = "/**"; ttl = "1m"; }'

# Long enough to be streamed to those who wait.
for framing in length chunked; do
    page="/long?size=3000000&cut=2000000&framing=$framing&midgate=$framing"
    crowd "$framing" 5 "$page"
    for i in 1 2 3 4 5; do
        await test -s "$DIR/$framing.$i.body"
    done
    backend only GET "$page" 1
    backend open "$framing"
    for pid in $(cat "$DIR/$framing.pids"); do
        if wait "$pid"; then
            fail "$page looked whole"
        fi
    done
    backend only GET "$page" 1
done
redis count 0

# A short one goes out only when it is whole: each who waits has the chance of his own fetch.
page='/short?gate=short&size=3000&cut=1000'
crowd short 5 "$page"
backend saw GET "$page" 1
await waiting 4
backend open short
for pid in $(cat "$DIR/short.pids"); do
    wait "$pid" || true
done
backend only GET "$page" 5

# Without a head: all fetch, and see what there is to see.
page='/hangup?gate=hangup&hangup=1'
crowd hangup 5 "$page"
backend saw GET "$page" 1
await waiting 4
backend open hangup
gathered hangup
is "502" "$(said hangup '^HTTP.* 502')" 5
redis count 0
await waiting 0
