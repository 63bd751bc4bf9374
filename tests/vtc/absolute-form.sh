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
    # nginx does not tell the port that stands in a request line.
    case $port in
    "$PORT3") wanted='host: inner.example' ;;
    *) wanted='host: inner.example:8080' ;;
    esac
    is "Host" "$(grep -i '^Host:' "$DIR/body" | tr -d '\r' | tr "[:upper:]" "[:lower:]")" "$wanted"
    get / --request-target "/$port?echo=1" -H 'Host: outer.example:81'
    is "Host" "$(grep -i '^Host:' "$DIR/body" | tr -d '\r')" 'Host: outer.example:81'
done

# Apache takes the scheme of another port for no reason to go by the request line: nobody can tell which
# of the two counts then.
url=http://127.0.0.1:$PORT2
for host in 'Host: outer.example' 'Host:'; do
    get / --request-target 'https://inner.example/x' -0 -H "$host"
    is "another scheme: status" "$(status)" 400
done
get / --request-target 'https://Inner.example/x' -H 'Host: inner.example:81'
is "another scheme, the same name: status" "$(status)" 200

# lighttpd wants both to be the same.
url=http://127.0.0.1:$PORT1
get / --request-target 'http://inner.example/x' -H 'Host: outer.example'
is "status" "$(status)" 400
