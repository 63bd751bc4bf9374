# A request line that names a host: that one counts, for the web server's choice of a site, for the key
# and for the backend alike (RFC 9112 §3.2.2). Otherwise the rules of one site would guard another.
# needs: lighttpd apache2 nginx mod_proxy_fcgi redis-server redis-cli spawn-fcgi curl
. case

: > "$DIR/front.extra"
site -m lighttpd-spawn-fcgi routes='{ path = "/**"; ttl = "1m"; }'
front apache-proxy-fcgi "$PORT2"
front nginx "$PORT3"

for port in "$PORT2" "$PORT3"; do
    url=http://127.0.0.1:$port
    get / --request-target "http://Inner.example:8080/$port?echo=1" -H 'Host: outer.example'
    is "status" "$(status)" 200
    is "Host" "$(grep -i '^Host:' "$DIR/body" | tr -d '\r' | tr "[:upper:]" "[:lower:]")" 'host: inner.example:8080'
    get / --request-target "/$port?echo=1" -H 'Host: outer.example:81'
    is "Host" "$(grep -i '^Host:' "$DIR/body" | tr -d '\r')" 'Host: outer.example:81'
done

# lighttpd wants both to be the same.
url=http://127.0.0.1:$PORT1
get / --request-target 'http://inner.example/x' -H 'Host: outer.example'
is "status" "$(status)" 400
