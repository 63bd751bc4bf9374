# What the web server says of a directory holds for PHP on all mounts: nothing that was uploaded or
# unpacked runs, and the name by which Larder gets its own requests lets nobody into a directory.
# needs: lighttpd apache2 mod_proxy_fcgi mod_fcgid mod_rewrite nginx php-fpm spawn-fcgi redis-server redis-cli curl
# time: 60
. case

directories='uploads uploads/2026/11 files blogs.dir/1/files upgrade upgrade/x upgrade-temp-backup/plugins'
for directory in $directories; do
    mkdir -p "$DIR/htdocs/wp-content/$directory"
    # A line feed is a byte of a name like any other.
    mkdir "$DIR/htdocs/wp-content/$directory/line
feed"
    for name in evil.php index.php evil.phtml "line
feed.php" "line
feed/evil.php" "line
feed/index.php" "line
feed/.php"; do
        echo '<?php echo "ran ", __FILE__;' > "$DIR/htdocs/wp-content/$directory/$name"
    done
done
mkdir -p "$DIR/htdocs/members" "$DIR/htdocs/wp-content/plugins/upgraded"
echo '<?php echo "page ", $_SERVER["REQUEST_URI"];' > "$DIR/htdocs/index.php"
echo '<?php echo json_encode($_SERVER["PATH_INFO"]), " ", json_encode($_SERVER["SCRIPT_NAME"]);' > "$DIR/htdocs/path.php"
cp "$DIR/htdocs/index.php" "$DIR/htdocs/members/index.php"
cp "$DIR/htdocs/index.php" "$DIR/htdocs/wp-content/plugins/upgraded/index.php"

redis start
fpm start -c 4 'security.limit_extensions=.php .phtml .phar'
conf url="$(fpm url)" responder='workers = 1; max_fetchers = 4;' admin='token = "0123456789abcdef";' \
    routes='{ path = "/**"; ttl = "10m"; }'
for mount in apache-mod-fcgid-php apache-proxy-fcgi-php nginx-php lighttpd-php; do
    : > "$DIR/front.extra"
    case $mount in
    apache-*)
        printf '<Directory "%s/htdocs/members">\nRequire all denied\n</Directory>\n' "$DIR" > "$DIR/front.extra"
        ;;
    nginx-php)
        echo 'location ^~ /members/ { deny all; include larder/larder-php-scripts.conf; }' > "$DIR/front.extra"
        ;;
    esac
    [ "$mount" != apache-proxy-fcgi-php ] || pool start -n 1
    front "$mount" "$PORT1"
    for directory in $directories BLOGS.DIR/1/files; do
        for name in evil.php '' index.php evil.phtml evil.php/x evil%2Ephp line%0afeed.php \
            line%0afeed.php/x line%0afeed/evil.php line%0afeed/ line%0afeed/.php evil.php%0a evil.php/%0a; do
            get "/wp-content/$directory/$name"
            ! grep -q '^ran ' "$DIR/body" || fail "$mount: /wp-content/$directory/$name: $(cat "$DIR/body")"
        done
    done
    # What follows the name of a script in the path is not part of it.
    case $mount in
    lighttpd-php) ;; # refuses them
    *)
        get /path.php/a%0ab/c%0a
        is "$mount: a line feed behind a script" "$(cat "$DIR/body")" '"\/a\nb\/c\n" "\/path.php"'
        ;;
    esac
    get /wp-content/plugins/upgraded/
    is "$mount: a plugin" "$(cat "$DIR/body")" 'page /wp-content/plugins/upgraded/'
    case $mount in
    apache-*)
        for target in '/members/larder-answers-itself.php?list=1' /members/larder-answers-itself.php/x /members/; do
            get "$target"
            is "$mount $target: status" "$(status)" 403
        done
        ;;
    esac
    case $mount in
    nginx-php)
        for target in /members/ /members/index.php /members/index.php/x; do
            get "$target"
            is "$mount $target: status" "$(status)" 403
        done
        ;;
    esac
    get /.larder/purge -H 'X-Larder-Token: 0123456789abcdef' -d '{"url": "/"}'
    is "$mount: a purge: status" "$(status)" 200
    kill "$(cat "$DIR/run/$mount-$PORT1.pid")"
    await sh -c "! listening $PORT1"
    [ "$mount" != apache-mod-fcgid-php ] || mv "$DIR/log/larder" "$DIR/log/larder-fcgid"
done
