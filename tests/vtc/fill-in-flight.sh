# A page whose fetch began before a mutation is not served after it.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site -n 2 routes='{ path = "/**"; resource = "r"; ttl = "1m"; invalidate = ["r:*"]; }'

for round in 1 2 3; do
    curl -sS -o "$DIR/stale" "$url/page?gate=go$round" &
    slow=$!
    backend saw GET "/page?gate=go$round" 1
    get /mutate -d ''
    is "status" "$(status)" 200
    backend open "go$round"
    wait "$slow"
    is "the slow answer" "$(cat "$DIR/stale")" "GET /page?gate=go$round #1"
    # Whether it was stored or not: it must not be served.
    gets "/page?gate=go$round" MISS "GET /page?gate=go$round #2"
done
