# What the web server's configuration says of a request is in the key, whatever it is called and however
# much of it there is, but for what is another with each request or connection.
# needs: lighttpd apache2 mod_proxy_fcgi nginx redis-server redis-cli spawn-fcgi curl php-fpm
. case

names="REMOTE_ROLE REQUEST_ROLE FCGI_SITE GEOIP_COUNTRY_CODE GEOIP2_COUNTRY MM_COUNTRY MMDB_COUNTRY
    SSL_ROLE SSL_CLIENT_S_DN TLS_ROLE H2_ROLE HTTP2_ROLE OIDC_TENANT TZ CONNECTION STATUS HANDLER URL
    AUTHORIZATION X-ROLE"
# nginx sets these, one client's or one connection's.
fleeting="REMOTE_PORT REMOTE_HOST REQUEST_ID REQUEST_TIME GEOIP_ADDR MMDB_ADDR SSL_SESSION_ID SSL_CIPHER
    SSL_PROTOCOL SSL_TLS_SNI H2_STREAM_ID UNIQUE_ID MSEC REDIRECT_UNIQUE_ID"

mkdir -p "$DIR/htdocs"
for name in $names P200 shared; do
    # lighttpd makes X_ROLE of X-ROLE.
    echo "<?php echo \$_SERVER['$name'] ?? \$_SERVER[strtr('$name', '-', '_')] ?? 'public';" \
        > "$DIR/htdocs/$name.php"
done

# What the office is told, at 127.0.0.9.
extra() {
    case $1 in
    lighttpd-php)
        echo 'server.modules += ( "mod_setenv" )'
        for name in $names; do
            echo "\$HTTP[\"url\"] == \"/$name.php\" { \$HTTP[\"remote-ip\"] == \"127.0.0.9\" {"
            echo "    setenv.add-environment = ( \"$name\" => \"internal\" )"
            echo "} }"
        done
        ;;
    nginx-php)
        for name in $names; do
            cat << END
location = /$name.php {
    fastcgi_param $name \$role if_not_empty;
    include larder/larder-pass.conf;
}
END
        done
        echo 'location = /P200.php {'
        for n in $(seq 199); do
            echo "fastcgi_param P$n x;"
        done
        cat << END
    fastcgi_param P200 \$role if_not_empty;
    include larder/larder-pass.conf;
}
location = /shared.php {
    include larder/larder-pass.conf;
END
        for name in $fleeting; do
            echo "fastcgi_param $name \$request_id;"
        done
        echo '}'
        ;;
    apache-*)
        echo 'RewriteEngine On'
        for name in $names; do
            # shellcheck disable=SC2016
            echo 'RewriteCond %{REMOTE_ADDR} =127.0.0.9'
            echo "RewriteRule ^/$name\\.php\$ - [E=$name:internal]"
        done
        ;;
    esac
}

is_stored() {
    get "$@" -H 'Host: a.test'
    test "$(field X-Cache)" = HIT
}
# The office's own: what it has stored is not had by others, and what others have stored not by it.
is_told_apart() {
    target="/$1.php?$mount"
    gets "$target" MISS internal -H 'Host: a.test' --interface 127.0.0.9
    await is_stored "$target" --interface 127.0.0.9
    gets "$target" MISS public -H 'Host: a.test'
    await is_stored "$target"
    gets "$target" HIT public -H 'Host: a.test'
    gets "$target" HIT internal -H 'Host: a.test' --interface 127.0.0.9
}

redis start
fpm start -c 4
conf url="$(fpm url)" responder='workers = 1;' routes='{ path = "/**"; ttl = "10m"; }'
pool start -n 1
# shellcheck disable=SC2016
export HTTP='map $remote_addr $role { 127.0.0.9 internal; default ""; }'
for mount in lighttpd-php nginx-php apache-proxy-fcgi-php; do
    extra "$mount" > "$DIR/front.extra"
    SNIPPET=larder-php front "$mount" "$PORT1"
    for name in $names; do
        is_told_apart "$name"
    done
    [ "$mount" != nginx-php ] || is_told_apart P200

    gets "/shared.php?$mount" MISS public -H 'Host: a.test' --interface 127.0.0.9
    await is_stored "/shared.php?$mount"
    kill "$(cat "$DIR/run/$mount-$PORT1.pid")"
    await sh -c "! listening $PORT1"
done
# Nobody is told to ignore what only the office has.
is "warnings of parameters" "$(grep -c 'the web server.s parameter' "$DIR/log/larder" || :)" 0
