# What the web server's configuration says a second time of a parameter counts, as it does for PHP-FPM
# alone: in what the script sees, in which script runs, in what is shared. A second word about the client
# lets nobody in.
# needs: lighttpd apache2 mod_proxy_fcgi nginx redis-server redis-cli spawn-fcgi curl php-fpm
. case

mkdir -p "$DIR/htdocs"
for name in page other; do
    echo "<?php echo '$name';" > "$DIR/htdocs/$name.php"
done
cat > "$DIR/htdocs/show.php" << 'END'
<?php
foreach (['ROLE', 'SERVER_NAME', 'SERVER_PORT', 'DOCUMENT_ROOT', 'REMOTE_ADDR', 'HTTP_HOST', 'REQUEST_URI',
    'REDIRECT_STATUS'] as $name)
    echo $name, '=', $_SERVER[$name] ?? '(none)', "\n";
// "" and "0" are the same; a script for everybody always gets "".
echo 'CONTENT_LENGTH=', (int)($_SERVER['CONTENT_LENGTH'] ?? 0), "\n";
echo file_get_contents('php://input');
END

# $PORT2 and $PORT3 say that they are one port, and only the script tells them apart.
extra() {
    case $1 in
    lighttpd-php)
        cat << END
server.modules += ( "mod_setenv" )
\$HTTP["url"] =~ "^/show" {
    setenv.add-environment = ( "ROLE" => "a", "SERVER_NAME" => "named", "SERVER_PORT" => "77",
        "DOCUMENT_ROOT" => "/srv/named", "REMOTE_ADDR" => "192.0.2.7", "HTTP_HOST" => "named.test" )
}
\$SERVER["socket"] == "127.0.0.1:$PORT2" {
    setenv.add-environment = ( "SCRIPT_FILENAME" => "$DIR/htdocs/other.php", "SERVER_PORT" => "77" )
}
\$SERVER["socket"] == "127.0.0.1:$PORT3" { setenv.add-environment = ( "SERVER_PORT" => "77" ) }
END
        ;;
    nginx-php)
        cat << END
location = /show.php {
    fastcgi_param ROLE a;
    include larder/larder-pass.conf;
    fastcgi_param ROLE b;
    fastcgi_param SERVER_NAME named;
    fastcgi_param SERVER_PORT 77;
    fastcgi_param DOCUMENT_ROOT /srv/named;
    fastcgi_param REMOTE_ADDR 192.0.2.7;
    fastcgi_param HTTP_HOST named.test;
    fastcgi_param REQUEST_URI /named\$is_args\$args;
    fastcgi_param REDIRECT_STATUS 200;
}
location = /show-no-body.php {
    include larder/larder-pass.conf;
    fastcgi_pass_request_body off;
    fastcgi_param CONTENT_LENGTH "";
    fastcgi_param SCRIPT_FILENAME \$document_root/show.php;
}
# One that says of itself who it is.
location = /.larder/purge {
    fastcgi_param REMOTE_ADDR \$http_x_real_ip if_not_empty;
    include larder/larder-pass.conf;
}
location = /.larder/other {
    include larder/larder-pass.conf;
    fastcgi_param REQUEST_URI /.larder/purge;
    fastcgi_param REMOTE_ADDR \$http_x_real_ip if_not_empty;
}
error_page 403 /refused.php;
location = /closed.php { deny all; }
location = /refused.php {
    include larder/larder-pass.conf;
    fastcgi_param SCRIPT_FILENAME \$document_root/page.php;
    fastcgi_param REDIRECT_STATUS 200;
}
include larder/larder-php.conf;
}
server {
    listen 127.0.0.1:$PORT2;
    root "$DIR/htdocs";
    location ~ \.php\$ {
        include larder/larder-pass.conf;
        fastcgi_param SERVER_PORT 77;
        fastcgi_param SCRIPT_FILENAME \$document_root/other.php;
    }
}
server {
    listen 127.0.0.1:$PORT3;
    root "$DIR/htdocs";
    location ~ \.php\$ {
        include larder/larder-pass.conf;
        fastcgi_param SERVER_PORT 77;
    }
END
        ;;
    esac
}

# without_larder TARGET [CURL ARGUMENT...]: what PHP-FPM makes of it.
without_larder() {
    url=http://127.0.0.1:$PORT4
    get "$@"
    cp "$DIR/body" "$DIR/wanted"
    url=http://127.0.0.1:$PORT1
}
# from PORT X-CACHE BODY, as the same host on each port.
from() {
    url=http://127.0.0.1:$1
    gets "/page.php?$mount" "$2" "$3" -H 'Host: a.test'
    url=http://127.0.0.1:$PORT1
}
is_stored() {
    url=http://127.0.0.1:$1
    get "/page.php?$mount" -H 'Host: a.test'
    url=http://127.0.0.1:$PORT1
    test "$(field X-Cache)" = HIT
}
# purges STATUS PATH [CURL ARGUMENT...]
purges() {
    wanted=$1
    shift
    get "$@" -X POST -H "Authorization: Bearer 0123456789abcdef" -d '{"all": true}' \
        -H 'Content-Type: application/json'
    is "purge at $1: status" "$(status)" "$wanted"
}

redis start
fpm start -c 4
conf url="$(fpm url)" responder='workers = 1;' routes='{ path = "/**"; ttl = "10m"; }' \
    admin="token = \"0123456789abcdef\"; allow = [\"127.0.0.1\", \"192.0.2.9\"];"
pool start -n 1
for mount in lighttpd-php nginx-php; do
    extra "$mount" > "$DIR/front.extra"
    SNIPPET=larder-php front "$mount" "$PORT1"
    # The same with PHP-FPM in Larder's place. Its other servers have ports of their own.
    sed "s/:$PORT2/:$PORT5/g; s/:$PORT3/:$PORT6/g" "$DIR/front.extra" > "$DIR/front.bare"
    mv "$DIR/front.bare" "$DIR/front.extra"
    SNIPPET=larder-php SOCKET=$DIR/fpm.sock front "$mount" "$PORT4"

    without_larder "/show.php?$mount"
    get "/show.php?$mount"
    diff "$DIR/wanted" "$DIR/body" || fail "$mount: a script sees something else without Larder"
    grep -q '^SERVER_NAME=named' "$DIR/body" || fail "$mount: nothing came twice: $(cat "$DIR/body")"

    # The same host, port and URL; another script.
    for port in "$PORT3" "$PORT2"; do
        body=page
        [ "$port" = "$PORT3" ] || body=other
        from "$port" MISS "$body"
        await is_stored "$port"
        from "$port" HIT "$body"
    done
    from "$PORT3" HIT page

    if [ "$mount" = nginx-php ]; then
        without_larder /show-no-body.php -d 'a body'
        get /show-no-body.php -d 'a body'
        is "CONTENT_LENGTH and what follows" "$(sed -n '/^CONTENT_LENGTH/,$p' "$DIR/body")" \
            "$(sed -n '/^CONTENT_LENGTH/,$p' "$DIR/wanted")"
        grep -q '^CONTENT_LENGTH=0$' "$DIR/body" || fail "a body that the web server keeps back is asked for"

        # The page of an error is none of the page that was asked for, whatever comes after it.
        for _ in 1 2 3; do
            get /closed.php
            is "/closed.php: status" "$(status)" 403
            is "/closed.php: X-Cache" "$(field X-Cache)" BYPASS
        done

        purges 200 /.larder/purge
        purges 200 /.larder/other
        for path in /.larder/purge /.larder/other; do
            purges 403 "$path" -H 'X-Real-IP: 192.0.2.9'
            # The same address twice is no doubt.
            purges 200 "$path" -H 'X-Real-IP: 127.0.0.1'
        done
for words in 'such requests are taken for none of trusted_proxies' \
            'refused with 403: REMOTE_ADDR came twice'; do
            is "the log, $words" "$(grep -c "$words" "$DIR/log/larder")" 1
        done
    fi
    for port in "$PORT1" "$PORT4"; do
        kill "$(cat "$DIR/run/$mount-$port.pid")"
    done
    for port in "$PORT1" "$PORT2" "$PORT3" "$PORT4" "$PORT5" "$PORT6"; do
        await sh -c "! listening $port"
    done
done
