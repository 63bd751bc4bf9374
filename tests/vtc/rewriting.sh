# What the web server has made of a URL is what a backend that speaks HTTP is asked for, and nothing
# but that: who is refused by a rewriting gets the page of the refusal, whoever came before. What no
# rule has touched arrives as it was sent, in whatever spelling.
# needs: apache2 mod_proxy_fcgi mod_fcgid mod_rewrite nginx lighttpd spawn-fcgi redis-server redis-cli curl
# time: 240
. case

rules() {
    case $1 in
    lighttpd-*)
        cat << 'END'
# Debian's; with them lighttpd cuts a URL at its last '?'.
server.http-parseopts = ( "header-strict" => "enable", "host-strict" => "enable", "host-normalize" => "enable",
    "url-normalize-unreserved" => "enable", "url-normalize-required" => "enable",
    "url-ctrls-reject" => "enable", "url-path-2f-decode" => "enable", "url-path-dotseg-remove" => "enable" )
server.modules += ( "mod_indexfile", "mod_rewrite" )
index-file.names = ( "index.html" )
server.error-handler = "/fallback"
$HTTP["url"] =~ "^/error/" {
    $HTTP["remote-ip"] != "127.0.0.9" { url.access-deny = ( "" ) }
}
$HTTP["url"] =~ "^/secret" { url.access-deny = ( "" ) }
$HTTP["remote-ip"] != "127.0.0.9" {
    url.rewrite-once = (
        "^/gate/" => "/denied",
        "^/idx/(\?.*)?$" => "/idx/index.denied.html",
        "^/index/(\?.*)?$" => "/index/index.html$1",
        "^/old/([^?]*)(?:\?(.*))?$" => "/new/$1?added=1&$2",
        "^/(?:open|mine)/(.*)" => "/closed/$1",
        "^/users/(.*)" => "/mine/$1"
    )
}
END
        ;;
    nginx)
        cat << 'END'
location ^~ /error/ { error_page 403 = /fallback; allow 127.0.0.9; deny all; include larder/larder-pass.conf; }
location ^~ /error200/ { error_page 403 =200 /fallback; allow 127.0.0.9; deny all; include larder/larder-pass.conf; }
location ^~ /error404/ {
    error_page 404 = /fallback;
    if ($remote_addr != 127.0.0.9) { return 404; }
    include larder/larder-pass.conf;
}
location ^~ /gate/ {
    if ($remote_addr != 127.0.0.9) { rewrite ^ /denied last; }
    include larder/larder-pass.conf;
}
location = /idx/ {
    if ($remote_addr != 127.0.0.9) { rewrite ^ /idx/index.denied.html last; }
    include larder/larder-pass.conf;
}
location = /index/ {
    if ($remote_addr != 127.0.0.9) { rewrite ^ /index/index.html last; }
    include larder/larder-pass.conf;
}
location ^~ /naked/ { rewrite ^ denied break; include larder/larder-pass.conf; }
rewrite ^/old/(.*)$ /new/$1?added=1 last;
rewrite ^/(?:open|mine)/(.*)$ /closed/$1 last;
rewrite ^/users/(.*)$ /mine/$1 last;
END
        ;;
    apache-*)
        cat << 'END'
ErrorDocument 403 /fallback
<Location "/error/">
    Require expr "%{REMOTE_ADDR} == '127.0.0.9'"
</Location>
RewriteEngine On
RewriteCond %{REMOTE_ADDR} !=127.0.0.9
RewriteRule ^/gate/ /denied [PT,L]
RewriteCond %{REMOTE_ADDR} !=127.0.0.9
RewriteRule ^/idx/$ /idx/index.denied.html [PT,L]
RewriteCond %{REMOTE_ADDR} !=127.0.0.9
RewriteRule ^/index/$ /index/index.html [PT,L]
RewriteRule ^/old/(.*)$ /new/$1?added=1 [PT,QSA,L]
RewriteRule ^/(?:open|mine)/(.*)$ /closed/$1 [PT,L]
RewriteRule ^/users/(.*)$ /mine/$1 [PT,L]
END
        ;;
    esac
}

# The number of the next answer to a target.
next() {
    echo "GET $1 #$(($(backend count GET "$1") + 1))"
}
# stores TARGET ASKED [CURL ARGUMENT...]: a miss, for which the backend is asked for ASKED, then a hit.
stores() {
    target=$1 wanted=$(next "$2")
    shift 2
    gets "$target" MISS "$wanted" "$@"
    await was_hit "$target" "$@"
    gets "$target" HIT "$wanted" "$@"
}
was_hit() {
    get "$@"
    test "$(field X-Cache)" = HIT
}
inside='--interface 127.0.0.9'
purge() {
    "$LARDERCTL" -f "$DIR/larder.conf" purge --url="$url$1" > "$DIR/purged"
}

# refused DIRECTORY ASKED: whoever comes first.
refused() {
    stores "$1/1" "$1/1" $inside
    stores "$1/1" "$2"
    gets "$1/1" HIT "GET $1/1 #1" $inside
    stores "$1/2" "$2"
    stores "$1/2" "$1/2" $inside
    was_hit "$1/2" || fail "$1/2: no hit"
    grep -q -x "GET $2 #.*" "$DIR/body" || fail "$1/2: $(cat "$DIR/body")"
    backend only GET "$1/1" 1
    backend only GET "$1/2" 1
}

# A file that stands for the directory changes nothing for a backend.
mkdir -p "$DIR/htdocs"
: > "$DIR/htdocs/index.html"

rewriting() {
    mount=$1
    url=http://127.0.0.1:$PORT1
    rules "$mount" > "$DIR/front.extra"
    MODULES=rewrite front "$mount" "$PORT1"

    refused "/gate/$mount" /denied
    case $mount in
    nginx)
        refused "/error/$mount" /fallback
        refused "/error200/$mount" /fallback
        refused "/error404/$mount" /fallback
        ;;
    *)
        get "/error/$mount" $inside
        is "/error/$mount: status" "$(status)" 200
        fallback=$(next /fallback)
        get "/error/$mount"
        is "/error/$mount: body" "$(cat "$DIR/body")" "$fallback"
        is "/error/$mount: X-Cache" "$(field X-Cache)" BYPASS
        backend only GET "/error/$mount" 1
        ;;
    esac

    # No spelling of the URL of a refusal is that of what was refused.
    for target in '/gate/..%252Fdenied' '/gate/x/..%252F..%252fdenied'; do
        wanted=$(next /denied)
        get "$target" --path-as-is -b never=stored
        is "$mount $target: body" "$(cat "$DIR/body")" "$wanted"
        backend only GET "$target" 0
    done
    get /idx/
    is "/idx/: body" "$(sed 's/ #.*//' "$DIR/body")" 'GET /idx/index.denied.html'
    # What Apache finds for a directory is nothing to the backend. Nobody gets another one's for that.
    case $mount in
    apache-*) wanted=/index/ ;;
    *) wanted=/index/index.html ;;
    esac
    stores "/index/?$mount" "$wanted?$mount"
    stores "/index/?$mount" "/index/?$mount" $inside
    gets "/idx/?$mount" MISS "GET /idx/?$mount #1" $inside
    case $mount in
    lighttpd-*)
        for target in '/secret?/../pub?x' '/secret?/a?x'; do
            get "$target" --path-as-is
            backend only GET "$target" 0
        done
        ;;
    nginx)
        get /naked/a
        is "/naked/a: status" "$(status)" 500
        backend only GET /naked/a 0
        grep -q 'does not begin with a slash' "$DIR/log/larder" || fail "/naked/a: nothing in the log"
        ;;
    esac

    # With its query, and by either name.
    old="/old/$mount/a%20b?z=%2B" new="/new/$mount/a%20b?added=1&z=%2B"
    stores "$old" "$new"
    purge "$old"
    stores "$old" "$new"
    purge "$new"
    stores "$old" "$new"
    stores "$new" "$new"
    for target in "$old" "$new"; do
        was_hit "$old" && was_hit "$new" || fail "$mount: not stored before a POST to $target"
        get "$target" -d x
        is "POST $target: X-Cache-Invalidate" "$(field X-Cache-Invalidate)" 'done'
        backend saw POST "$new" 1
        stores "$old" "$new"
        [ "$target" = "$old" ] || continue
        stores "$new" "$new"
    done
    backend only POST "$new" 2
    backend only GET "$old" 0

    # A range of it, and a HEAD.
    other="/old/$mount/r?size=100" asked="/new/$mount/r?added=1&size=100"
    get "$other" -r 0-3
    is "a range: status" "$(status)" 206
    backend only GET "$asked" 1
    get "/old/$mount/h?size=1" -I
    is "HEAD: status" "$(status)" 200
    backend only GET "/old/$mount/h?size=1" 0
    backend only HEAD "/old/$mount/h?size=1" 0

    # What a route keeps back stays there, whatever leads to it.
    for target in "/open/$mount" "/mine/$mount" "/users/$mount"; do
        get "$target"
        is "$target: X-Cache" "$(field X-Cache)" BYPASS
        grep -q -E -x "GET /(closed|mine)/$mount #.*" "$DIR/body" || fail "$target: $(cat "$DIR/body")"
    done

    # Not rewritten: the very bytes. What a directory is called ends in a slash and nothing else happens.
    for target in / '/a?' '/a?b=c%20d+e&&f' '/a//b' '//a/b' '/a%2Fb%2525%41' '/a%252Fb' '/a/..%252Fb' \
        '/a/...' '/a/..;/b' '/a/.b/..c' '/a;x=1/b' '/a+b%20c' '/caf%C3%A9' '/a%5Cb%26%3F%23' '/a/~%7E' \
        '/index.php/x' '/a.php' '/a.php/%2F/x' '/a?b?c' '/l?next=/x?y=1' '/r?to=http://x/?y=%20' \
        '/dir/?u=a%2Fb?c'; do
        before=$(backend count GET "$target")
        get "$target" --path-as-is -b never=stored
        is "$mount $target: status" "$(status)" 200
        backend only GET "$target" $((before + 1))
    done
    # Dot segments are asked for as the web server has read them, and stored as that.
    while read -r target asked; do
        before=$(backend count GET "$asked")
        get "$target" --path-as-is -b never=stored
        is "$mount $target: status" "$(status)" 200
        backend only GET "$asked" $((before + 1))
    done << 'END'
/a/%2e%2e/b /b
/a/%2E./b%20c /b%20c
/a/./b/ /a/b/
/a/..//c /c
/a/.. /
/dir/.? /dir/
/dir/../?u=a/../%2Fb /?u=a/../%2Fb
/a/../b?c=%2e%2E/.&d /b?c=%2e%2E/.&d
/a/../b%252Fc%C3%A9 /b%252Fc%C3%A9
/%252Fgate/./1 /%252Fgate/1
/a/..%2Fdots /dots
/a/..%2Fdots%2F. /dots/
END
    stores "/dots/$mount" "/dots/$mount"
    get "/x/../dots/$mount" --path-as-is
    is "/x/../dots/$mount: X-Cache" "$(field X-Cache)" HIT
    before=$(backend count GET '/whole%20url?a')
    get / --request-target "http://127.0.0.1:$PORT1/whole%20url?a" -b never=stored
    backend only GET '/whole%20url?a' $((before + 1))
    kill "$(cat "$DIR/run/$mount-$PORT1.pid")"
    await sh -c "! listening $PORT1"
}

redis start
backend start
conf responder='workers = 1; max_fetchers = 4;' routes='
    { path = "/closed/**"; client_cache = "never"; },
    { path = "/mine/**"; ttl = "1h"; user = "REMOTE_USER"; },
    { path = "/**"; ttl = "1h"; }'
# First, because its processes are another user's, which could not write to the pool's log.
rewriting apache-mod-fcgid
mv "$DIR/log/larder" "$DIR/log/larder-fcgid"
pool start -n 1
for each in apache-proxy-fcgi lighttpd-spawn-fcgi nginx; do
    rewriting "$each"
done

# explain knows to what it was rewritten, also for a page of which it has only seen the like.
rules nginx > "$DIR/front.extra"
front nginx "$PORT1"
explains() {
    target=$1 next=$2 rewrite=$3
    shift 3
    "$LARDERCTL" -f "$DIR/larder.conf" explain "$url$target" "$@" > "$DIR/explained"
    is "explain $target" "$(sed -n 's/^Next: *\([A-Z]*\).*/\1/p' "$DIR/explained")" "$next"
    is "explain $target" "$(sed -n 's/^Rewrite: *//p' "$DIR/explained")" "$rewrite"
}
stores /old/explained '/new/explained?added=1'
explains /old/explained HIT 'by the web server, to /new/explained?added=1'
explains '/new/explained?added=1' MISS \
    'none is known here; if the web server rewrites it, say to what (--rewritten)'
explains /gate/nginx/1 HIT 'not, as far as it is told here'
grep -q 'of 2 that have something stored' "$DIR/explained" || fail "not both: $(cat "$DIR/explained")"
# Nor does it have to be the process that has seen it, or any, if it is told.
pool term
pool start -n 4
explains /old/explained MISS \
    'none is known here; if the web server rewrites it, say to what (--rewritten)'
explains /old/explained HIT 'by the web server, to /new/explained?added=1' --rewritten '/new/explained?added=1'
stores '/old/caf%C3%A9%20b' '/new/caf%C3%A9%20b?added=1'
explains '/old/caf%C3%A9%20b' HIT 'by the web server, to /new/caf%C3%A9%20b?added=1' \
    --rewritten '/new/caf%C3%A9%20b?added=1'
was_hit /old/explained || fail "/old/explained: no hit"
for each in 1 2 3 4; do
    explains /old/explained HIT 'by the web server, to /new/explained?added=1'
done

# Where the backend does by itself what the web server's rules do.
pool term
conf upstream='rewritten = "ignore";' responder='workers = 1; max_fetchers = 4;' \
    routes='{ path = "/**"; ttl = "1h"; }'
pool start -n 1
stores '/old/ignored?a' '/old/ignored?a'
get '/old/ignored?a' --interface 127.0.0.9
is "not rewritten: X-Cache" "$(field X-Cache)" HIT
get /gate/ignored
get /gate/ignored --interface 127.0.0.9
is "not rewritten: X-Cache" "$(field X-Cache)" MISS
