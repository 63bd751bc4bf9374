# Apache's own access rules are not passed by a path with %2F in it: no backend reads it as another path
# than they do.
# needs: apache2 mod_proxy_fcgi mod_fcgid mod_rewrite php-fpm spawn-fcgi redis-server redis-cli curl python3
# time: 60
. case

cat > "$DIR/rules" << 'END'
<Location "/secret">
    Require all denied
</Location>
<Location "/gate">
    Require all denied
</Location>
<Location "/index.php/secret">
    Require all denied
</Location>
END
rules() {
    cp "$DIR/rules" "$DIR/front.extra"
    front "$1" "$PORT1"
}
ends() {
    kill "$(cat "$DIR/run/$mount-$PORT1.pid")"
    await sh -c "! listening $PORT1"
}
refuses() {
    for target in /secret/1 /secret%2F1 /secret%2f1 /%2Fsecret/1 /x/..%2Fsecret/1 /x%2F..%2Fsecret/1 \
        /x%2Fy/../secret/1 /x%2Fy/%2E./secret/1; do
        get "$target" --path-as-is
        is "$mount $target: status" "$(status)" 403
        get "$target" --path-as-is -b session=1
        is "$mount $target: status with a cookie" "$(status)" 403
    done
}
# Dots beside an encoded slash lead Apache out of a directory, and a script that goes by what the visitor
# has sent into it: such a path reaches no script.
dots='/secret/..%2Fx /secret/..%2fx /secret/%2e%2e%2fx /secret/.%2E%2fx /secret/%2e.%2fx /secret/1/..%2f..%2fx
    /secret%2f../x /secret%2f..%2fx /secret%2F%2e%2e?x /secret%2f.. /secret/..%2f /secret/..%2findex.php
    /secret/.%2f.%2f..%2fx /index.php/secret/..%2fx /index.php%2fsecret%2f%2e%2e/x
    /x/./y%2fz /x/%2e%2e/y%2Fz /x%2fy/../z'
misses() {
    for target in $dots; do
        get "$target" --path-as-is
        is "$mount $target: status" "$(status)" 404
        get "$target" --path-as-is -b session=1
        is "$mount $target: status with a cookie" "$(status)" 404
        get /x --path-as-is --request-target "http://127.0.0.1:$PORT1$target"
        is "$mount $target in absolute form: status" "$(status)" 404
    done
    # A request line of HTTP/0.9 ends with its path.
    python3 -c "
import socket
web = socket.create_connection(('127.0.0.1', $PORT1))
web.sendall(b'GET /secret%2f..\r\n')
while got := web.recv(65536):
    print(got.decode())" > "$DIR/oldest"
    ! grep -q '^page' "$DIR/oldest" || fail "$mount by HTTP/0.9: $(cat "$DIR/oldest")"
    # These are no dot segments to anybody.
    for target in /x..%2fy /x%2f..y /x%2f...%2fy /.well-known%2fx /x?/..%2fy /index.php/a%2f.b; do
        get "$target" --path-as-is
        is "$mount $target: status" "$(status)" 200
    done
}
# A backend that speaks HTTP is asked for what Apache makes of it.
resolves() {
    for target in $dots; do
        get "$target" --path-as-is -b session=1
        case $(status) in
        200 | 40[034]) ;;
        *) fail "$mount $target: status $(status)" ;;
        esac
    done
}
# Two URLs that one backend may take for one are two entries.
two_entries() {
    for target in "/a%2Fb?$mount" "/a/b?$mount"; do
        get "$target"
        is "$mount $target: status" "$(status)" 200
        grep -q -F "$target" "$DIR/body" || fail "$mount $target: $(cat "$DIR/body")"
        await is_hit "$target"
        grep -q -F "$target" "$DIR/body" || fail "$mount $target: a hit: $(cat "$DIR/body")"
    done
}

redis start
backend start
conf responder='workers = 1; max_fetchers = 4;' routes='{ path = "/**"; ttl = "1h"; }'
for mount in apache-mod-fcgid apache-proxy-fcgi; do
    [ "$mount" = apache-mod-fcgid ] || pool start -n 1
    rules "$mount"
    refuses
    # What is encoded once more is no slash to anybody, whoever resolves the dots beside it.
    get '/%252Fgate/./1' --path-as-is -b never=stored
    is "$mount /%252Fgate/./1: body" "$(sed 's/ #.*//' "$DIR/body")" 'GET /%252Fgate/1'
    two_entries
    resolves
    is "$mount: the backend was asked for what is refused" "$(grep -c secret "$DIR/log/requests" || true)" 0
    ends
    [ "$mount" = apache-proxy-fcgi ] || mv "$DIR/log/larder" "$DIR/log/larder-fcgid"
done
pool term
mv "$DIR/log/larder" "$DIR/log/larder-http"

cat > "$DIR/htdocs/index.php" << 'END'
<?php
file_put_contents(getenv('RUNS'), $_SERVER['REQUEST_URI'] . "\n", FILE_APPEND | LOCK_EX);
echo 'page ', $_SERVER['REQUEST_URI'], "\n";
END
: > "$DIR/runs"
chmod 666 "$DIR/runs"
fpm start -c 4 "env[RUNS] = $DIR/runs"
conf url="$(fpm url)" responder='workers = 1; max_fetchers = 4;' routes='{ path = "/**"; ttl = "1h"; }'
for mount in apache-mod-fcgid-php apache-proxy-fcgi-php; do
    [ "$mount" = apache-mod-fcgid-php ] || pool start -n 1
    rules "$mount"
    refuses
    misses
    two_entries
    is "$mount: PHP was asked for what is refused" "$(grep -c secret "$DIR/runs" || true)" 0
    ends
    [ "$mount" = apache-proxy-fcgi-php ] || mv "$DIR/log/larder" "$DIR/log/larder-fcgid-php"
done
