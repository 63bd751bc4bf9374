# nginx as Debian ships it, with its own nginx.conf and default site: Larder's files fit in, as they say
# themselves, and pages come through.
# needs: nginx spawn-fcgi redis-server redis-cli curl php-fpm
. case

etc=$DIR/etc-nginx
stock=/etc/nginx
for file in nginx.conf sites-available/default mime.types; do
    [ -r "$stock/$file" ] || { echo "SKIP: $stock/$file is missing"; exit 77; }
done

# A copy; of its paths and its port only what a case cannot have is another.
debian() {
    rm -rf "$etc"
    mkdir "$etc"
    cp -RL "$stock"/mime.types "$stock"/fastcgi* "$stock"/snippets "$etc/"
    mkdir "$etc/conf.d" "$etc/sites-available" "$etc/sites-enabled"
    sed -e "s|/etc/nginx/modules-enabled/|$DIR/none/|; s|/etc/nginx|$etc|g; s|/var/log/nginx|$DIR/log|; s|/run/nginx.pid|$DIR/run/nginx.pid|" \
        -e "s|^user .*|user $(id -un) $(id -gn);|" "$stock/nginx.conf" > "$etc/nginx.conf"
    sed -e "s|80 default_server|$PORT1 default_server|; s|/var/www/html|$DIR/htdocs|" "$stock/sites-available/default" \
        > "$etc/sites-available/default"
    ln -s ../sites-available/default "$etc/sites-enabled/default"
    # Its own directories are root's.
    for path in client_body fastcgi proxy scgi uwsgi; do
        echo "${path}_temp_path $DIR/run/nginx-$path;"
    done > "$etc/conf.d/case.conf"

    # What larder-http.conf says is to be done once.
    ln -s "$SRC/etc/nginx" "$etc/larder"
    # (The pool of the case is elsewhere, so that one is a copy.)
    sed "s|/run/larder/larder.sock|$DIR/larder.sock|" "$etc/larder/larder-http.conf" > "$etc/conf.d/larder.conf"
}

# works WHAT HOST TARGET BODY: as the configuration is now.
works() {
    nginx -t -q -c "$etc/nginx.conf" 2> "$DIR/log/nginx-t" || fail "$1: $(cat "$DIR/log/nginx-t")"
    # For an ordinary user "user www-data" means nothing, which is not the snippet's affair.
    is "$1: what nginx -t says" "$(grep -v 'the "user" directive makes sense only' "$DIR/log/nginx-t")" ''
    setsid nginx -c "$etc/nginx.conf" -g 'daemon off;' < /dev/null > "$DIR/log/nginx.out" 2>&1 &
    await listening "$PORT1"
    get "$3" -H "Host: $2"
    is "$1: $3" "$(status) $(field X-Cache) $(cat "$DIR/body")" "200 MISS $4"
    await has_it "$3" -H "Host: $2"
    get /.larder/purge -H "Host: $2" -d '{"urls":["'"$3"'"]}' -H 'X-Larder-Token: 0123456789abcdef'
    is "$1: a purge" "$(status)" 200
    get "$3" -H "Host: $2"
    is "$1: X-Cache" "$(field X-Cache)" MISS
    kill "$(cat "$DIR/run/nginx.pid")"
    await sh -c "! listening $PORT1"
}
has_it() {
    get "$@"
    test "$(field X-Cache)" = HIT
}

# The edits of Debian's default site.
into_default() {
    sed -i "s|^\tserver_name _;|&\n\t$1|" "$etc/sites-available/default"
}
without_its_location() {
    sed -i '/^\tlocation \/ {/,/^\t}/d' "$etc/sites-available/default"
}

mkdir -p "$DIR/htdocs"
echo '<?php echo "script ", $_SERVER["PATH_INFO"] ?? "-";' > "$DIR/htdocs/x.php"
echo '<?php echo "front ", $_SERVER["REQUEST_URI"];' > "$DIR/htdocs/index.php"
redis start
backend start
fpm start
for kind in http php wordpress; do
    case $kind in
    http) backend=$(backend url) include=larder.conf target=/page body='GET /page #1' ;;
    php) backend=$(fpm url) include=larder-php.conf target=/x.php/a body='script /a' ;;
    wordpress) backend=$(fpm url) include=larder-wordpress.conf target=/a/page/ body='front /a/page/' ;;
    esac
    conf url="$backend" admin='token = "0123456789abcdef";' routes='{ path = "/**"; ttl = "1h"; }'
    pool start -n 1

    # In Debian's own default site.
    debian
    into_default "include larder/$include;"
    case $kind in
    php) ;; # it has no `location /`
    *) without_its_location ;;
    esac
    works "$kind in the default site" default.test "$target" "$body"

    # A site of its own beside it.
    debian
    sed -e "s|listen \(.*\)80;|listen \1$PORT1;|; s|/srv/www/site|$DIR/htdocs|" \
        -e 's|^    include larder/|    #include larder/|' -e "s|^    #\(include larder/$include\)|    \1|" \
        "$etc/larder/larder-site.conf" > "$etc/sites-available/example"
    ln -s ../sites-available/example "$etc/sites-enabled/example"
    [ "$kind" != http ] || body='GET /page #3'
    redis cli flushall > /dev/null
    works "$kind in a site of its own" example.com "$target" "$body"
    pool term
    rm -f "$DIR/larder.sock"
done
