# A web server that hides its name: who is refused by a rewriting gets the page of the refusal, and
# what tells nothing of the URL is refused.
# needs: lighttpd nginx spawn-fcgi redis-server redis-cli curl
# time: 30
. case

redis start
backend start
conf responder='workers = 1; max_fetchers = 4;' routes='{ path = "/**"; ttl = "1h"; }'
pool start -n 1
ends() {
    kill "$(cat "$DIR/run/$mount-$PORT1.pid")"
    await sh -c "! listening $PORT1"
}
# refused DIRECTORY: in either order, by the rules of lighttpd and nginx below.
inside='--interface 127.0.0.9'
asks() {
    get "$@"
    is "$mount $1: status" "$(status)" 200
    sed 's/ #.*//' "$DIR/body"
}
refused() {
    is "$1/1 for one inside" "$(asks "$1/1" $inside)" "GET $1/1"
    is "$1/1 for a stranger" "$(asks "$1/1")" 'GET /denied'
    is "$1/2 for a stranger" "$(asks "$1/2")" 'GET /denied'
    is "$1/2 for one inside" "$(asks "$1/2" $inside)" "GET $1/2"
}

mount=lighttpd-spawn-fcgi
cat > "$DIR/front.extra" << 'END'
server.tag = "web"
server.modules += ( "mod_rewrite" )
$HTTP["remote-ip"] != "127.0.0.9" { url.rewrite-once = ( "^/gate/" => "/denied" ) }
END
front "$mount" "$PORT1"
refused /gate/lighttpd
for target in '/a%2Fb%20c' '/a//b?c=%41' '/a/..%2fb' '/a?b?c'; do
    is "$target" "$(asks "$target" --path-as-is)" "GET $(echo "$target" | sed 's|^/a/..%2f|/|')"
done
ends

mount=nginx
cat > "$DIR/front.extra" << 'END'
location ^~ /gate/ {
    if ($remote_addr != 127.0.0.9) { rewrite ^ /denied last; }
    include larder/larder-pass.conf;
    fastcgi_param SERVER_SOFTWARE "Apache";
}
location ^~ /denied { include larder/larder-pass.conf; fastcgi_param SERVER_SOFTWARE "Apache"; }
location ^~ /untold {
    include larder/larder-pass.conf;
    fastcgi_param SERVER_SOFTWARE "Apache";
    fastcgi_param SCRIPT_NAME "";
    fastcgi_param DOCUMENT_URI "";
}
END
front "$mount" "$PORT1"
refused /gate/nginx
for n in 1 2 3; do
    get "/untold/$n"
    is "/untold/$n: status" "$(status)" 500
done
grep -q 'rewritten = "ignore"' "$DIR/body" || fail "/untold: $(cat "$DIR/body")"
is "/untold: lines in the log" "$(grep -c 'does not say what it has made of the URL' "$DIR/log/larder")" 1
backend only GET /untold/1 0
