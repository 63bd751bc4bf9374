# What is stale is fetched anew once, whoever asks on however many processes; who needs the new one
# joins that fetch; and with early_refresh it is never seen to be stale.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case
. crowd

site -n 4 routes='
    { path = "/early/**"; ttl = "3s"; early_refresh = 1000; },
    { path = "/**"; ttl = "1s"; stale_while_revalidate = "1m"; }'

page='/page?gate=page'
backend open page
gets "$page" MISS "GET $page #1"
redis stored 1
sleep 1.2
rm "$DIR/gates/page"
crowd stale 20 "$page"
gathered stale
is "stale" "$(said stale '^x-cache: stale')" 20
backend saw GET "$page" 2
# It must have a fresh one: it waits for the refresh.
crowd needs 3 "$page" -H 'Cache-Control: max-age=0'
sleep 0.5
backend only GET "$page" 2
backend open page
gathered needs
all needs "GET $page #2"
await is_hit "$page"
backend only GET "$page" 2
is "refreshes" "$(counter refreshes)" 1

# Ten times what is recommended, and a fetch of half a second: it is due long before 3 s are over.
page='/early/page?delay=500'
gets "$page" MISS "GET $page #1"
redis stored 2
seen=0
i=0
while [ "$i" -lt 100 ] && [ "$seen" -lt 2 ]; do
    get "$page"
    is "X-Cache" "$(field X-Cache)" HIT
    sleep 0.05
    seen=$(backend count GET "$page")
    i=$((i + 1))
done
is "requests" "$seen" 2
