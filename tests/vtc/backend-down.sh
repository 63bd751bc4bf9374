# No backend is 502, a slow one 504, each with a short plain body and a line in the log that says why.
# What is stored is still served.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site upstream='timeout = "500ms"; connect_timeout = "400ms";' routes='{ path = "/stored"; ttl = "5m"; }'
gets /stored MISS 'GET /stored #1'
redis stored 1

answers() {
    get "$1"
    is "status" "$(status)" "$2"
    is "Content-Type" "$(field Content-Type | cut -d ';' -f 1)" text/plain
    test "$(wc -c < "$DIR/body")" -lt 200 || fail "a long body: $(cat "$DIR/body")"
    grep -q "warning: GET $1: .*$(backend url).*$3" "$DIR/log/larder" ||
        fail "the log does not say '$3': $(cat "$DIR/log/larder")"
}

answers '/slow?gate=never' 504 'within 500 ms'
answers '/stalls?size=200&midgate=never&gate=never' 504 'within 500 ms'
backend stop
answers /gone 502 connect
gets /stored HIT 'GET /stored #1'
