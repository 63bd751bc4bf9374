# Two virtual hosts with the same name, document root and script that differ only in what the web
# server's configuration adds for the script, or in their port: what is closed to strangers on one
# is never had through the other, and a parameter that is another each time is named in the log.
# needs: lighttpd apache2 mod_proxy_fcgi nginx redis-server redis-cli spawn-fcgi curl php-fpm
. case

mkdir -p "$DIR/htdocs"
# shellcheck disable=SC2016
echo '<?php echo $_SERVER["ROLE"] ?? "public", " ", $_SERVER["TRACE"] ?? "";' > "$DIR/htdocs/page.php"
# shellcheck disable=SC2016
echo '<?php echo $_SERVER["SERVER_NAME"];' > "$DIR/htdocs/name.php"

# On $PORT2, for the office: the same site with another role; on $PORT3 with nothing else at all.
extra() {
    case $1 in
    lighttpd-php)
        cat << END
server.modules += ( "mod_setenv" )
\$SERVER["socket"] == "127.0.0.1:$PORT2" { setenv.add-environment = ( "ROLE" => "internal" ) }
\$SERVER["socket"] == "127.0.0.1:$PORT3" { }
END
        ;;
    nginx-php)
        cat << END
location = /traced.php {
    rewrite ^ /page.php break;
    fastcgi_param TRACE \$request_id;
    include larder/larder-pass.conf;
}
include larder/larder-php.conf;
}
server {
    listen 127.0.0.1:$PORT2;
    root "$DIR/htdocs";
    location ~ \.php\$ {
        fastcgi_param ROLE internal;
        include larder/larder-pass.conf;
    }
}
server {
    listen 127.0.0.2:$PORT2;
    server_name intern;
    root "$DIR/htdocs";
    location ~ \.php\$ {
        fastcgi_param ROLE internal;
        include larder/larder-pass.conf;
    }
}
server {
    listen 127.0.0.1:$PORT3;
    root "$DIR/htdocs";
END
        ;;
    apache-*)
        cat << END
</VirtualHost>
Listen 127.0.0.1:$PORT2
<VirtualHost *:$PORT2>
    DocumentRoot "$DIR/htdocs"
    SetEnv ROLE internal
    Include larder/larder-php-proxy-fcgi.conf
</VirtualHost>
Listen 127.0.0.1:$PORT3
<VirtualHost *:$PORT3>
    DocumentRoot "$DIR/htdocs"
    UseCanonicalPhysicalPort On
    Include larder/larder-php-proxy-fcgi.conf
END
        ;;
    esac
}

# from PORT X-CACHE BODY
from() {
    url=http://127.0.0.1:$1
    gets "/page.php?$mount$4" "$2" "$3" -H 'Host: a.test'
}
is_stored() {
    get "$1" -H 'Host: a.test'
    test "$(field X-Cache)" = HIT
}
is_known() {
    get "$1" -H 'Host: intern'
    test "$(field X-Cache)" = HIT
}
stores() {
    from "$1" MISS "$2" "$3"
    await is_stored "/page.php?$mount$3"
    from "$1" HIT "$2" "$3"
}

redis start
fpm start -c 4
conf url="$(fpm url)" responder='workers = 1;' upstream='ignore_parameters = ["NOTHING"];' \
    routes='{ path = "/**"; ttl = "10m"; }'
pool start -n 1
for mount in lighttpd-php nginx-php apache-proxy-fcgi-php; do
    extra "$mount" > "$DIR/front.extra"
    SNIPPET=larder-php front "$mount" "$PORT1"
    stores "$PORT2" 'internal ' ''
    stores "$PORT1" 'public ' ''
    stores "$PORT3" 'public ' ''
    stores "$PORT1" 'public ' '&2'
    stores "$PORT2" 'internal ' '&2'
    "$LARDERCTL" -f "$DIR/larder.conf" explain "http://a.test/page.php?$mount" > "$DIR/explained"
    grep -q 'of 3 that have something stored' "$DIR/explained" || fail "$(cat "$DIR/explained")"
    "$LARDERCTL" -f "$DIR/larder.conf" purge --url="http://a.test/page.php?$mount" > "$DIR/purged"
    from "$PORT1" MISS 'public ' ''
    from "$PORT2" MISS 'internal ' ''
    case $mount in
    nginx-php)
        url=http://127.0.0.1:$PORT1
        for _ in $(seq 70); do
            get /traced.php
            is "/traced.php: X-Cache" "$(field X-Cache)" MISS
        done
        # One Host on two addresses, of which one is a server of that name.
        for at in 127.0.0.2 127.0.0.1 127.0.0.2; do
            url=http://$at:$PORT2
            get /name.php -H 'Host: intern'
            wanted=intern
            [ "$at" = 127.0.0.2 ] || wanted=
            is "$at: SERVER_NAME" "$(cat "$DIR/body")" "$wanted"
            await is_known /name.php
        done
        is "the log" "$(grep -c 'parameter TRACE has had more than 64 values' "$DIR/log/larder")" 1
        ;;
    esac
    kill "$(cat "$DIR/run/$mount-$PORT1.pid")"
    for port in "$PORT1" "$PORT2" "$PORT3"; do
        await sh -c "! listening $port"
    done
done
is "warnings of parameters" "$(grep -c 'the web server.s parameter' "$DIR/log/larder")" 1
