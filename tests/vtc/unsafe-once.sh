# An unsafe request on which the backend hangs up is not sent again, though a kept connection was at
# hand. A safe one is, once.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site
for method in DELETE POST PUT PATCH; do
    for body in '' x; do
        # A connection that the backend holds open.
        get /warm
        get "/gone/$method$body?hangup=1" -X "$method" -d "$body"
        is "$method: status" "$(status)" 502
        backend only "$method" "/gone/$method$body?hangup=1" 1
    done
done

get /warm
get '/gone?hangup=1'
is "status" "$(status)" 502
test "$(backend count GET '/gone?hangup=1')" -le 2 || fail "a GET was repeated more than once"
