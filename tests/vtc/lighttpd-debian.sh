# The snippets in Debian's lighttpd, beside what it may have in conf-enabled: PHP of its own, rewriting,
# aliases; for all hosts, for one of two, and for a part of a site.
# needs: lighttpd spawn-fcgi redis-server redis-cli curl php-fpm php-cgi
# time: 180
. case

available=/etc/lighttpd/conf-available
if [ ! -r "$available/15-fastcgi-php-fpm.conf" ] || [ ! -r /etc/lighttpd/lighttpd.conf ]; then
    echo "SKIP: this is not Debian's lighttpd"
    exit 77
fi

root=$DIR/htdocs
mkdir -p "$root/dir" "$root/.git" "$DIR/app" "$DIR/b" "$root/wp-content/uploads" "$DIR/enabled"
for script in "$root/index.php" "$root/rest.php" "$root/dir/index.php" "$DIR/app/index.php" \
    "$DIR/b/index.php" "$root/wp-content/uploads/index.php" "$root/wp-content/uploads/up.php"; do
    # shellcheck disable=SC2016
    echo '<?php /* source */ header("Cache-Control: max-age=60");
        echo $_SERVER["SCRIPT_FILENAME"], " ", $_SERVER["PATH_INFO"] ?? "", " ", $_SERVER["HTTP_HOST"];' > "$script"
done
chmod -R a+rX "$root" "$DIR/app" "$DIR/b"
echo secret > "$root/.git/config"
echo secret > "$root/config.php.bak"
fpm start -c 4
redis start
backend start
examples=$SRC/etc/lighttpd

# debian [NAME...]: those of conf-available and $DIR/50-larder.conf in Debian's lighttpd.conf, whose
# directories, port and user are the case's.
debian() {
    rm -f "$DIR"/enabled/*
    for name in 90-javascript-alias "$@"; do
        sed -e "s|/run/lighttpd/php.socket|$DIR/run/debian-php.sock|" \
            -e "s|/run/php/php-fpm.sock|$DIR/fpm.sock|" "$available/$name.conf" > "$DIR/enabled/$name.conf"
    done
    cp "$DIR/50-larder.conf" "$DIR/enabled/"
    sed -e "s|\"/var/www/html\"|\"$root\"|" -e "s|/var/cache/lighttpd/uploads|$DIR/run|" \
        -e "s|/var/log/lighttpd/error.log|$DIR/log/lighttpd|" -e "s|/run/lighttpd.pid|$DIR/run/lighttpd.pid|" \
        -e "s|^server.port .*|server.port = $PORT1|" -e '/^server.\(user\|group\)name/d' -e '/use-ipv6/d' \
        -e "s|/etc/lighttpd/conf-enabled|$DIR/enabled|" /etc/lighttpd/lighttpd.conf > "$DIR/lighttpd.conf"
    echo 'server.bind = "127.0.0.1"' >> "$DIR/lighttpd.conf"
    lighttpd -tt -f "$DIR/lighttpd.conf" > "$DIR/log/test" 2>&1 || fail "$* $(cat "$DIR/log/test")"
    grep -i 'warn\|deprecated\|duplicate\|ignored' "$DIR/log/test" && fail "$*: it complains"
    : > "$DIR/log/lighttpd"
    setsid lighttpd -D -f "$DIR/lighttpd.conf" < /dev/null > "$DIR/log/out" 2>&1 &
    await listening "$PORT1"
}
stop() {
    kill "$(cat "$DIR/run/lighttpd.pid")"
    await sh -c "! listening $PORT1"
    cat "$DIR/log/lighttpd" "$DIR/log/out" | grep -v 'larder\[' |
        grep -i 'warn\|deprecated\|duplicate\|ignored' && fail "it complains"
    :
}
# shows TARGET BODY [CURL ARGUMENT...]: through Larder.
shows() {
    target=$1 wanted=$2
    shift 2
    get "$target" "$@"
    is "$target: status" "$(status)" 200
    is "$target" "$(cat "$DIR/body")" "$wanted"
    test -n "$(field X-Cache)" || fail "$target has gone past Larder"
}
straight() {
    get "$@"
    is "$1: status" "$(status)" 200
    is "$1: X-Cache" "$(field X-Cache)" ''
}

# PHP through Larder.
conf url="$(fpm url)" admin='token = "0123456789abcdef";' routes='{ path = "/**"; ttl = "5m"; }'
pool start -n 1
host=127.0.0.1:$PORT1
cat > "$DIR/50-larder.conf" << END
var.larder_php_socket = "$DIR/larder.sock"
var.larder_wordpress = "/"
include "$examples/larder-php.conf"
include "$examples/larder-wordpress.conf"
alias.url += ( "/app" => "$DIR/app" )
END
for with in '' '10-fastcgi' '10-fastcgi 15-fastcgi-php-fpm' '10-fastcgi 15-fastcgi-php' \
    '10-rewrite 10-fastcgi 15-fastcgi-php-fpm 05-setenv 10-expire 10-dir-listing 11-extforward'; do
    # shellcheck disable=SC2086
    debian $with
    shows / "$root/index.php  $host"
    shows /rest.php/v1/x "$root/rest.php /v1/x $host"
    shows /dir/ "$root/dir/index.php  $host"
    shows /app/ "$DIR/app/index.php  $host"
    shows /2026/post/ "$root/index.php  $host"
    for place in /wp-content/uploads //wp-content//uploads /wp-content%2Fuploads /wp%2dcontent/plugins/../uploads; do
        for target in / /up.php /up%2ephp /up.php/x /index.php /up.php%2Fx; do
            get "$place$target" --path-as-is
            is "$place$target: status" "$(status)" 403
        done
    done
    get /.larder/purge -d '{"urls":["/"]}' -H 'X-Larder-Token: 0123456789abcdef'
    is "a purge: status" "$(status)" 200
    stop
done

# For one of two hosts: the other's PHP is as it was, and no other name leads to the first one's files.
mkdir "$DIR/none"
cat > "$DIR/50-larder.conf" << END
server.document-root := "$DIR/none"
\$HTTP["host"] == "a.test" {
    server.document-root = "$root"
    var.larder_php_socket = "$DIR/larder.sock"
    var.larder_wordpress = "/"
    include "$examples/larder-php.conf"
    include "$examples/larder-wordpress.conf"
}
\$HTTP["host"] == "b.test" {
    server.document-root = "$DIR/b"
}
END
debian 10-fastcgi 15-fastcgi-php-fpm
shows /2026/post/ "$root/index.php  a.test" -H 'Host: a.test'
for target in /wp-content/uploads/ /wp-content/uploads/up.php /.git/config /config.php.bak /wp-config.php; do
    get "$target" -H 'Host: a.test'
    is "a.test$target: status" "$(status)" 403
done
for target in /.git/config /config.php.bak /index.php; do
    get "$target" -H 'Host: other.test'
    is "other.test$target: status" "$(status)" 404
done
straight / -H 'Host: b.test'
is "b.test" "$(cat "$DIR/body")" "$DIR/b/index.php  b.test"
get /2026/post/ -H 'Host: b.test'
is "no rewriting there: status" "$(status)" 404
stop

# For both, each with its own document root.
cat > "$DIR/50-larder.conf" << END
\$HTTP["host"] == "a.test" {
    var.larder_php_socket = "$DIR/larder.sock"
    var.larder_wordpress = "/"
    include "$examples/larder-php.conf"
    include "$examples/larder-wordpress.conf"
}
\$HTTP["host"] == "b.test" {
    server.document-root = "$DIR/b"
    var.larder_php_socket = "$DIR/larder.sock"
    include "$examples/larder-php.conf"
}
END
debian 10-fastcgi 15-fastcgi-php
for _ in 1 2; do
    shows /2026/post/ "$root/index.php  a.test" -H 'Host: a.test'
    shows / "$DIR/b/index.php  b.test" -H 'Host: b.test'
    shows / "$root/index.php  a.test" -H 'Host: a.test'
done
get /rest.php/x -H 'Host: b.test'
is "a script of the other host: status" "$(status)" 404
stop
pool term

# A backend that speaks HTTP: for all, on a part of a site, and started by lighttpd itself.
conf routes='{ path = "/**"; ttl = "5m"; }' admin='token = "0123456789abcdef";'
pool start -n 1
cat > "$DIR/50-larder.conf" << END
var.larder_socket = "$DIR/larder.sock"
include "$examples/larder-spawn-fcgi.conf"
END
debian 10-fastcgi 15-fastcgi-php-fpm 10-rewrite
shows /page 'GET /page #1'
shows /index.php 'GET /index.php #1'
stop
cat > "$DIR/50-larder.conf" << END
var.larder_socket = "$DIR/larder.sock"
\$HTTP["url"] =~ "^/(?:api|\\.larder)/" { include "$examples/larder-spawn-fcgi.conf" }
END
debian 10-fastcgi 15-fastcgi-php-fpm 10-rewrite
shows /api/page 'GET /api/page #1'
straight /dir/
get /.larder/purge -d '{"urls":["/api/page"]}' -H 'X-Larder-Token: 0123456789abcdef'
is "a purge: status" "$(status)" 200
stop
pool term
cat > "$DIR/50-larder.conf" << END
var.larder_fcgi = "$LARDER_FCGI"
var.larder_conf = "$DIR/larder.conf"
var.larder_socket = "$DIR/bin-path.sock"
include "$examples/larder-bin-path.conf"
END
debian 10-fastcgi 15-fastcgi-php
shows /started 'GET /started #1'
stop
