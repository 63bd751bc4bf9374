# Beyond its time a response answers at once while it is fetched anew, once, whoever asks how often.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site -n 3 routes='
    { path = "/route/**"; ttl = "1s"; stale_while_revalidate = "1m"; },
    { path = "/**"; ttl = "1s"; }'

# It takes the gate to be open before an answer comes.
backend open first
stale() {
    gets "$1" MISS "GET $1 #1"
    redis stored "$2"
    sleep 1.2
}
crowd() {
    : > "$DIR/crowd"
    for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
        curl -s --max-time 20 -o /dev/null -D - "$url$1" >> "$DIR/crowd" &
        pids="$pids $!"
    done
    # shellcheck disable=SC2086
    wait $pids
    pids=
    is "answers of $1 at once" "$(grep -c -i '^x-cache: stale' "$DIR/crowd")" 12
}

# The backend's word.
page='/page?h=Cache-Control:max-age=1,stale-while-revalidate=60&delay=300'
stale "$page" 1
crowd "$page"
backend saw GET "$page" 2
await is_hit "$page"
gets "$page" HIT "GET $page #2"
backend only GET "$page" 2
is "refreshes" "$("$LARDERCTL" -f "$DIR/larder.conf" --json stats | tr ',{' '\n\n' |
    sed -n 's/^ *"refreshes": *\([0-9]*\).*/\1/p')" 1

# The route's.
stale '/route/page?delay=2500' 2
get '/route/page?delay=2500'
is "X-Cache" "$(field X-Cache)" STALE
is "Cache-Status" "$(field Cache-Status | sed 's/ttl=-[0-9]*/ttl=-N/; s/; key=.*//')" \
    'Larder; hit; ttl=-N; detail=stale'
crowd '/route/page?delay=2500'
await is_hit '/route/page?delay=2500'
backend only GET '/route/page?delay=2500' 2

# Not beside must-revalidate.
must='/route/must?h=Cache-Control:max-age=1,must-revalidate'
stale "$must" 3
gets "$must" MISS "GET $must #2"

# A refresh that fails leaves things as they are.
failing='/route/failing?h=Cache-Control:max-age=1,stale-if-error=60'
stale "$failing" 4
backend stop
get "$failing"
is "X-Cache" "$(field X-Cache)" STALE
is "body" "$(cat "$DIR/body")" "GET $failing #1"
get "$failing"
is "X-Cache" "$(field X-Cache)" STALE
