# A backend that speaks HTTP is asked by the URL alone, and that of a page for an error of the web
# server's is the URL of what was refused: it is not asked, and it shows nobody what was refused.
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
END
front nginx "$PORT1"
cat > "$DIR/front.extra" << 'END'
ErrorDocument 403 /denied
<Location "/secret/">
    Require expr "%{REMOTE_ADDR} == '127.0.0.9'"
</Location>
END
front apache-proxy-fcgi "$PORT2"

# refused TARGET
refused() {
    get "$1"
    is "$1: status" "$(status)" 403
    grep -q "$page" "$DIR/body" && fail "$1: shows what was refused"
    grep -q 'error_page' "$DIR/body" || fail "$1: $(cat "$DIR/body")"
}
for port in "$PORT1" "$PORT2"; do
    url=http://127.0.0.1:$port
    target=/secret/$port
    page=nothing-yet
    refused "$target"
    is "$target: at the backend" "$(backend count GET "$target")" 0
    get "$target" --interface 127.0.0.9
    is "$target: status" "$(status)" 200
    page=$(cat "$DIR/body")
    test -n "$page" || fail "$target: there is no page"
    refused "$target"
    is "$target: at the backend" "$(backend count GET "$target")" 1
done
