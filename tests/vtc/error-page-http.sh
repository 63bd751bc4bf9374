# A backend that speaks HTTP is asked by the URL alone. The page for an error of the web server's has
# one of its own, and the backend is asked for that. Where it has none (nginx' named location), it
# would be the URL of what was refused: it is not asked, and nobody is shown what was refused.
# needs: apache2 mod_proxy_fcgi nginx spawn-fcgi redis-server redis-cli curl
. case

redis start
backend start
conf routes='{ path = "/**"; ttl = "1h"; }'
pool start -n 1
cat > "$DIR/front.extra" << 'END'
error_page 403 /denied;
error_page 404 = /fallback;
location ^~ /secret/ { allow 127.0.0.9; deny all; include larder/larder-pass.conf; }
location ^~ /named/ { error_page 403 @denied; allow 127.0.0.9; deny all; include larder/larder-pass.conf; }
location @denied { include larder/larder-pass.conf; }
location ^~ /equal/ { error_page 403 = @equal; allow 127.0.0.9; deny all; include larder/larder-pass.conf; }
location @equal { include larder/larder-pass.conf; fastcgi_param REDIRECT_STATUS 403; }
location ^~ /before/ { error_page 403 = @before; allow 127.0.0.9; deny all; include larder/larder-pass.conf; }
location @before { fastcgi_param REDIRECT_STATUS 403; include larder/larder-pass.conf; }
END
front nginx "$PORT1"
cat > "$DIR/front.extra" << 'END'
ErrorDocument 403 /denied
<Location "/secret/">
    Require expr "%{REMOTE_ADDR} == '127.0.0.9'"
</Location>
END
front apache-proxy-fcgi "$PORT2"

# refused TARGET BODY: the beginning of it.
refused() {
    get "$1"
    is "$1: status" "$(status)" 403
    is "$1: X-Cache" "$(field X-Cache)" BYPASS
    head -n 1 "$DIR/body" | grep -q "^$2" || fail "$1: $(cat "$DIR/body")"
}
# twice TARGET BODY: before and after somebody has had the page.
twice() {
    refused "$1" "$2"
    is "$1: at the backend" "$(backend count GET "$1")" 0
    get "$1" --interface 127.0.0.9
    is "$1: status" "$(status)" 200
    is "$1: body" "$(cat "$DIR/body")" "GET $1 #1"
    refused "$1" "$2"
    is "$1: at the backend" "$(backend count GET "$1")" 1
}
for port in "$PORT1" "$PORT2"; do
    url=http://127.0.0.1:$port
    twice "/secret/$port" 'GET /denied #'
done
url=http://127.0.0.1:$PORT1
twice /named/x '403 Forbidden'
grep -q 'error_page' "$DIR/body" || fail "/named/x: $(cat "$DIR/body")"
# nginx says 200 after an "=", and the location what it is, on either side of the include.
twice /equal/x '403 Forbidden'
twice /before/x '403 Forbidden'
