# The snippets in Debian's own layout of Apache, put there by its own commands: the default site, sites
# beside it, applications whose Alias is for the whole server, with php-fpm.conf enabled and without,
# under mpm_event and mpm_prefork.
# needs: apache2 a2enmod mod_proxy_fcgi mod_fcgid spawn-fcgi redis-server redis-cli curl php-fpm
. case

[ -r /etc/apache2/apache2.conf ] || { echo "SKIP: this is not Debian's Apache"; exit 77; }
for name in html second application; do
    mkdir -p "$DIR/www/$name"
    cat > "$DIR/www/$name/index.php" << 'END'
<?php
$password = 'of the database';
header('Cache-Control: max-age=60');
echo basename(__DIR__), ' ', $_SERVER['PATH_INFO'] ?? '-';
END
done

# As a package is configured that nobody has touched, except for what a test has of its own: ports,
# directories, the user. $1 is the MPM.
layout() {
    rm -rf "$DIR/etc"
    cp -r /etc/apache2 "$DIR/etc"
    rm -f "$DIR"/etc/*-enabled/*
    sed -i -e "s|^Listen 80$|Listen 127.0.0.1:$PORT1|" "$DIR/etc/ports.conf"
    cat >> "$DIR/etc/ports.conf" << END
<IfModule mod_fcgid.c>
    FcgidIPCDir $DIR/run/fcgid
    FcgidProcessTableFile $DIR/run/fcgid.table
</IfModule>
END
    sed -i -e "s|\*:80>|*:$PORT1>|" -e "s|/var/www/html|$DIR/www/html|" "$DIR/etc/sites-available/000-default.conf"
    sed -i -e "s|<Directory /var/www/>|<Directory $DIR/www/>|" "$DIR/etc/apache2.conf"
    sed -i -e "s|/run/php/php[0-9.]*-fpm.sock|$DIR/fpm.sock|" "$DIR"/etc/conf-available/php*-fpm.conf
    debian a2enmod "mpm_$1" authz_core authz_host authn_core authn_file authz_user auth_basic access_compat \
        alias dir autoindex env mime negotiation setenvif filter deflate status reqtimeout
    debian a2enconf charset localized-error-pages other-vhosts-access-log security serve-cgi-bin
    debian a2ensite 000-default
    # What Debian's packages of applications leave there.
    cat > "$DIR/etc/conf-available/application.conf" << END
Alias /application $DIR/www/application
<Directory $DIR/www/application>
    Options SymLinksIfOwnerMatch
    DirectoryIndex index.php
    Require all granted
    <IfModule mod_php.c>
        php_admin_value open_basedir $DIR/www
    </IfModule>
</Directory>
END
    cat > "$DIR/etc/sites-available/second.conf" << END
<VirtualHost *:$PORT1>
    ServerName second.test
    DocumentRoot $DIR/www/second
</VirtualHost>
END
    debian a2enconf application
    debian a2ensite second
    ln -s "$SRC/etc/apache" "$DIR/etc/larder"
    ln -s ../larder/larder-php-guard.conf "$DIR/etc/conf-available/larder-php-guard.conf"
}
debian() {
    APACHE_CONFDIR=$DIR/etc APACHE_STATE_DIRECTORY=$DIR/state "$@" > "$DIR/log/$1" 2>&1 || fail "$*: $(cat "$DIR/log/$1")"
}
# larder LINE...: into the default site, as its last lines.
larder() {
    sed -i '/^<\/VirtualHost>/d' "$DIR/etc/sites-available/000-default.conf"
    printf '%s\n' "$@" '</VirtualHost>' >> "$DIR/etc/sites-available/000-default.conf"
}
program() {
    export APACHE_RUN_DIR="$DIR/run" APACHE_LOCK_DIR="$DIR/run" APACHE_LOG_DIR="$DIR/log" \
        APACHE_PID_FILE="$DIR/run/apache.pid" APACHE_RUN_USER="$user" APACHE_RUN_GROUP="$group"
    apache2 -d "$DIR/etc" -f apache2.conf "$@"
}
starts() {
    # Detached from the case's output, which would otherwise never end.
    program < /dev/null > "$DIR/log/apache.out" 2>&1 || fail "Apache does not start: $(cat "$DIR/log/apache.out")"
    await listening "$PORT1"
}
ends() {
    kill "$(cat "$DIR/run/apache.pid")"
    await test ! -e "$DIR/run/apache.pid"
}
user=$(id -un) group=$(id -gn)
if [ "$user" = root ]; then
    user=www-data group=www-data
fi

# page X-CACHE TARGET BODY [CURL ARGUMENT...]
page() {
    cache=$1 target=$2 wanted=$3
    shift 3
    get "$target" "$@"
    is "$what: $target $*" "$(status) $(field X-Cache) $(cat "$DIR/body")" "200 $cache $wanted"
}
# refused TARGET [CURL ARGUMENT...]: neither run nor sent
refused() {
    get "$@"
    is "$what: $*" "$(status)" 503
    grep -q 'of the database' "$DIR/body" && fail "$what: $*: the source was sent"
    return 0
}
hits() {
    for target in / /index.php/a/b /application/ /application/index.php/a/b; do
        case $target in
        /app*) name=application ;;
        *) name=html ;;
        esac
        case $target in
        */a/b) path=/a/b ;;
        *) path=- ;;
        esac
        page MISS "$target" "$name $path"
        await is_hit "$target"
        page HIT "$target" "$name $path"
        # Whoever asks by address is answered by the default site.
        page MISS "$target" "$name $path" -H 'Host: 192.0.2.1'
    done
    # The next round finds nothing of this one.
    get /.larder/purge -d '{"tags": ["all"]}'
    is "$what: a purge without a token" "$(status)" 401
    get /.larder/purge -d '{"tags": ["all"]}' -H 'X-Larder-Token: 0123456789abcdef'
    is "$what: a purge" "$(status)" 200
}

redis start
fpm start
conf url="$(fpm url)" responder='workers = 1; max_fetchers = 1;' admin='token = "0123456789abcdef";' \
    routes='{ path = "/**"; ttl = "1h"; tags = ["all"]; }'
pool start -n 2
chmod 666 "$DIR/log/larder"
mkdir -p "$DIR/bin"
cp "$LARDER_FCGI" "$DIR/bin/larder-fcgi"

for mpm in event prefork; do
    what="$mpm, mod_proxy_fcgi, guard"
    layout "$mpm"
    debian a2enmod proxy_fcgi
    debian a2enconf larder-php-guard
    larder "Define LARDER_PHP_SOCKET $DIR/larder.sock" 'Include larder/larder-php-proxy-fcgi.conf'
    starts
    hits
    for target in / /index.php/a /application/ /application/index.php; do
        refused "$target" -H 'Host: second.test'
    done
    ends

    what="$mpm, mod_fcgid, guard"
    layout "$mpm"
    debian a2enmod proxy_fcgi fcgid
    debian a2enconf larder-php-guard
    larder "Define LARDER_PHP_PROGRAM \"$DIR/bin/larder-fcgi -f $DIR/larder.conf\"" \
        'Include larder/larder-php-fcgid.conf'
    starts
    hits
    refused / -H 'Host: second.test'
    refused /application/ -H 'Host: second.test'
    ends
done

# Debian's own PHP for the sites that have no snippet, beside the guard. (mod_php beside the snippet was
# tried by hand: it does not matter in the site that has it.)
what='php-fpm.conf'
layout event
debian a2enmod proxy_fcgi
debian a2enconf larder-php-guard "$(basename "$DIR"/etc/conf-available/php*-fpm.conf .conf)"
larder "Define LARDER_PHP_SOCKET $DIR/larder.sock" 'Include larder/larder-php-proxy-fcgi.conf'
starts
hits
page '' / 'second -' -H 'Host: second.test'
page '' /application/ 'application -' -H 'Host: second.test'
ends

# Without the module Apache does not start: it would send the source.
what='no mod_proxy_fcgi'
layout event
debian a2enmod proxy
larder "Define LARDER_PHP_SOCKET $DIR/larder.sock" 'Include larder/larder-php-proxy-fcgi.conf'
program -t 2> "$DIR/log/without" && fail "$what: Apache starts"
grep -q ProxyFCGIBackendType "$DIR/log/without"
