# A visitor who hangs up while a mutation is under way: the backend's answer is read to its end all the same,
# so nothing is unknown. What it has changed by then is dropped, and no more than that.
# needs: lighttpd apache2 mod_proxy_fcgi mod_fcgid nginx spawn-fcgi redis-server redis-cli curl
# time: 120
. case

site -n 2 routes='
    { path = "/page/{name}"; ttl = "1h"; tags = ["{name}"]; },
    { path = "/import/{name}"; methods = ["POST"]; tags = ["{name}"]; }'
front apache-proxy-fcgi "$PORT2"
front nginx "$PORT3"
front apache-mod-fcgid "$PORT4"

is_page() {
    get "$page"
    test "$(cat "$DIR/body")" = "GET $page #$1"
}
# living N: so many mutations are under way, and nothing is dropped for others.
living() {
    test "$(redis cli hkeys larder:gen-mutations | grep -c -v '^$')" -eq "$1"
}

for port in "$PORT1" "$PORT2" "$PORT3" "$PORT4"; do
    for how in gate 'framing=chunked&size=200000&gate' 'size=20000&midgate' 'size=2000000&midgate' \
        'framing=chunked&size=2000000&midgate'; do
        url=http://127.0.0.1:$port
        name=$port-$(echo "$how" | tr -c -d 'a-z0-9\n')
        page=/page/$name
        gets "$page" MISS "GET $page #1"
        await is_hit "$url$page"
        curl -sS --max-time 60 -o /dev/null -d '' "$url/import/$name?$how=$name" &
        visitor=$!
        backend saw POST "/import/$name?$how=$name" 1
        case $how in
        *midgate) await is_page 2 ;; # dropped with the head
        esac
        living 1 || fail "$name: under way: $(redis cli hgetall larder:gen-mutations)"
        kill "$visitor"
        wait "$visitor" || true
        # The web server closes its connection to us, which nobody looks at.
        sleep 0.3
        before=$(backend count GET "$page")
        backend open "$name"
        await -t 10 living 0
        get "$page"
        is "$name: after the end" "$(cat "$DIR/body")" "GET $page #$((before + 1))"
    done
done
