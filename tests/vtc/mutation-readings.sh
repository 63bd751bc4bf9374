# What a route names is dropped only if every backend takes the path for one of that route: nobody
# empties a cache by a form that anybody may send, under an address that looks like another.
# needs: lighttpd nginx redis-server redis-cli spawn-fcgi curl
. case

redis start
backend start
conf routes='
    { path = "**/admin/**"; methods = ["POST"]; tags = ["all"]; },
    { path = "**/office/**"; methods = ["POST"]; tags = ["all"]; },
    { path = "**/strict/**"; methods = ["POST"]; tags = ["all"]; change_answer = ["X-Saved"]; },
    { path = "/dav.php/{id}/**"; methods = ["POST"]; tags = ["all"]; },
    { path = "/books/{id}"; methods = ["POST"]; tags = ["book:{id}"]; },
    { path = "/book/{id}"; methods = ["GET"]; ttl = "10m"; tags = ["book:{id}"]; },
    { path = "/**"; methods = ["GET"]; ttl = "10m"; tags = ["all"]; },
    { path = "**"; }'
pool start -n 1

sends() {
    get "$1" --path-as-is -d a=b
    is "$mount: POST $1: status" "$(status)" 200
    get "$2"
}
# drops ADDRESS [PAGE] and drops_not ADDRESS [PAGE]: what is sent there and the page.
drops() {
    sends "$1" "${2:-/page}"
    is "$mount: ${2:-/page} after POST $1" "$(field X-Cache)" MISS
    await is_hit "${2:-/page}"
}
drops_not() {
    sends "$1" "${2:-/page}"
    is "$mount: ${2:-/page} after POST $1" "$(field X-Cache)" HIT
}

port=$PORT1
for mount in lighttpd-spawn-fcgi nginx; do
    front "$mount" "$port"
    url=http://127.0.0.1:$port
    port=$PORT2
    for page in /page /item /book/7; do
        get "$page"
        await is_hit "$page"
    done

    # One address, however it is written.
    for address in /admin/save /blog/admin/save '/admin/save?to=..%2f..' /%61dmin/save /admin//save \
        //admin/save /admin/./save '/admin/save;v=1' /admin/%C3%A9 /admin/a%20b /admin/a%2Fb \
        /admin/...%2f..a /index.php/admin/save /shop.php.d/admin/save /admin/save.php; do
        drops "$address"
    done
    # Two routes that do the same; a script that is the route's own; and one that its pattern knows.
    drops '/a;/office/x%2fadmin/y'
    drops /admin/login.php/x
    drops /dav.php/7/save
    drops '/strict/x?h=X-Saved:1'
    drops_not /strict/x
    # What the captures are by each reading.
    drops /books/7 /book/7
    drops '/books/7;v=2' /book/7
    drops_not /books/8 /book/7

    # Backends that decode %2F, merge slashes, take \ for /, leave out parameters or run the script.
    for address in /admin//..//login /admin//../login /admin/x/..%2f..%2flogin /admin/..%2flogin \
        '/admin/x\..\..\login' '/admin/a\b%2f..%2f..%2flogin' \
        '/admin/..;/login' '/admin/x/..;/..;/login/admin/x' /admin/%252e%252e/login \
        /admin/%2e%2e%2flogin /admin/%25%32%65./login \
        /login.php/admin/x /login.php//admin/x '/login.php;/admin/x' /login.php%2fx/admin/x \
        /a/login.php/b.php/admin/x '/strict/x%2fadmin/y?h=X-Saved:1'; do
        drops_not "$address"
    done
    # What the web server has resolved is what the backend is asked for.
    drops /admin/..%2flogin%2fadmin/x
    drops /login/..//admin/x
    drops '/admin/;/../login'
    drops /admin/x/..
    # The URL itself goes, by all readings.
    drops /admin/..%2fitem /item
done
