# Dot segments before a backend that speaks HTTP and resolves them itself, as nginx does: it never sees
# another path than the web server's rules have seen.
# needs: apache2 mod_proxy_fcgi mod_fcgid mod_rewrite nginx lighttpd spawn-fcgi redis-server redis-cli curl
# time: 60
. case

redis start
cat > "$DIR/backend.conf" << END
worker_processes 1;
pid "$DIR/run/backend.pid";
error_log "$DIR/log/backend";
daemon off;
events { worker_connections 64; }
http {
    log_format asked '\$request';
    access_log "$DIR/log/asked" asked;
    client_body_temp_path "$DIR/run/b1";
    fastcgi_temp_path "$DIR/run/b2";
    proxy_temp_path "$DIR/run/b3";
    scgi_temp_path "$DIR/run/b4";
    uwsgi_temp_path "$DIR/run/b5";
    default_type text/plain;
    server {
        listen 127.0.0.1:$PORT2;
        location ^~ /secret/ { return 200 "secret \$uri"; }
        location / { return 200 "open \$uri"; }
    }
}
END
setsid nginx -c "$DIR/backend.conf" < /dev/null > "$DIR/log/backend.out" 2>&1 &
await listening "$PORT2"
conf upstream='' url="http://127.0.0.1:$PORT2" responder='workers = 1; max_fetchers = 4;' \
    routes='{ path = "/**"; ttl = "1h"; }'

through() {
    mount=$1
    case $mount in
    lighttpd-*) echo '$HTTP["url"] =~ "^/secret" { url.access-deny = ( "" ) }' ;;
    nginx) echo 'location ^~ /secret/ { deny all; }' ;;
    apache-*) printf '<Location "/secret/">\nRequire all denied\n</Location>\n' ;;
    esac > "$DIR/front.extra"
    front "$mount" "$PORT1"
    get /secret/x
    is "$mount /secret/x: status" "$(status)" 403
    for path in /pub/..%2fsecret/x /pub/%2e%2e/secret/x /pub/..%2fsecret%2fx /pub/.%2e%2Fsecret/./x \
        /pub%2F..%2Fsecret/x /./secret/x /%2e/secret/x /.%2Fsecret/x //secret/x /pub//..%2f..%2fsecret/x; do
        get "$path" --path-as-is
        ! grep -q secret "$DIR/body" || [ "$(status)" != 200 ] || fail "$mount $path: $(cat "$DIR/body")"
    done
    for path in /secret/../b /secret/x/%2e%2e/%2e%2E/b /secret/..%2fb; do
        get "$path" --path-as-is
        case $(status) in
        200) is "$mount $path: body" "$(cat "$DIR/body")" 'open /b' ;;
        *) ;; # not resolved by Apache, which refuses it or has Larder refuse it
        esac
    done
    ! grep -E '^GET [^?]*(/|%2[fF])(\.|%2[eE])+(/|%2[fF]|[? ])' "$DIR/log/asked" || fail "$mount: dots went out"
    kill "$(cat "$DIR/run/$mount-$PORT1.pid")"
    await sh -c "! listening $PORT1"
}

through apache-mod-fcgid
mv "$DIR/log/larder" "$DIR/log/larder-fcgid"
pool start -n 1
for each in apache-proxy-fcgi lighttpd-spawn-fcgi nginx; do
    through "$each"
done

# Where nginx merges no slashes, "/gate//../denied" is "/gate/denied" to it, and in the gate.
cat > "$DIR/front.extra" << 'END'
merge_slashes off;
location ^~ /gate/ { rewrite ^ /denied last; }
END
front nginx "$PORT1"
for path in /gate//../denied /gate//..%2fdenied /gate//./../denied; do
    before=$(grep -c -x 'GET /denied HTTP/1.1' "$DIR/log/asked" || true)
    get "$path" --path-as-is -b never=stored
    is "$path: body" "$(cat "$DIR/body")" 'open /denied'
    is "$path: asked for" "$(grep -c -x 'GET /denied HTTP/1.1' "$DIR/log/asked")" $((before + 1))
done
