# WordPress' rewriting and denials behind nginx. (wordpress-nginx.sh has a real one.)
# needs: nginx spawn-fcgi redis-server redis-cli curl php-fpm
. case
. php-names

# Each says who it is; nothing that was uploaded may.
write() {
    mkdir -p "$(dirname "$DIR/htdocs/$1")"
    cat > "$DIR/htdocs/$1" << 'END'
<?php
echo basename(__DIR__), '/', basename(__FILE__), ' ', $_SERVER['SCRIPT_NAME'], ' ', $_SERVER['REQUEST_URI'];
END
}
for script in index wp-login wp-config wp-admin/index wp-admin/admin wp-content/plugins/a/index; do
    write "$script.php"
done
for upload in index.php 2026/11/x.php sites/2/x.php X.PHP x.phtml x.phar x.php5 d/index.php; do
    write "wp-content/uploads/$upload"
done
write wp-content/blogs.dir/2/files/x.php
copies='wp-config.bak wp-config.txt wp-config.old wp-config.json wp-config~ wp-config wp-config-backup.txt
    WP-CONFIG.BAK old-wp-config.txt wp-config.zip wp-config.php.bak wp-config.php~ wp-config-old.php
    xwp-config.php wp-config.old.php'
for file in $copies .git/config .htaccess .git/x.php wp-login.php~; do
    write "$file"
done
mkdir "$DIR/htdocs/wp-config.d"
for file in wp-config.png edit-wp-config.js wp-config.d/file; do
    echo a file > "$DIR/htdocs/$file"
done
# What WordPress makes of such names, and what it has not made.
for file in 2026/11/x.png talk.php_.pdf x.php.jpg tool.phar_.asc; do
    echo picture > "$DIR/htdocs/wp-content/uploads/$file"
done
names_in "$DIR/htdocs"
: > "$DIR/htdocs/wp-content/uploads/x.jpg"

redis start
fpm start
conf url="$(fpm url)" admin='token = "0123456789abcdef";' routes='{ path = "/**"; }'
pool start -n 2
front nginx-php "$PORT1"

# answers STATUS TARGET [BODY]
answers() {
    get "$2" --path-as-is
    is "$2: status" "$(status)" "$1"
    grep -q '<?php' "$DIR/body" && fail "$2: the source was sent"
    [ $# -eq 2 ] || is "$2: body" "$(cat "$DIR/body")" "$3"
}
for target in / /index.php /2026/11/a-post/ /feed/ '/?p=1' /wp-json/wp/v2/posts /category/a.b/ \
    /wp-config-explained/ /wp-config-explained /2026/wp-config.txt /nothing.php /nothing.php/x /index.php/2026/post /.well-known/caldav \
    /.NET /wiki/.NET /wiki/...And_Justice_for_All /wp-admin/.NET/x /.git/none /.env/x /.hack/x.php /.none.php/x '/a%2Fb/c%20d?x=%41+1'; do
    answers 200 "$target" "htdocs/index.php /index.php $target"
done
answers 200 '/wp-login.php?action=x' 'htdocs/wp-login.php /wp-login.php /wp-login.php?action=x'
answers 200 /wp-admin/ 'wp-admin/index.php /wp-admin/index.php /wp-admin/'
answers 301 /wp-admin
answers 200 /wp-content/plugins/a/ 'a/index.php /wp-content/plugins/a/index.php /wp-content/plugins/a/'
for file in 2026/11/x.png talk.php_.pdf x.php.jpg; do
    answers 200 "/wp-content/uploads/$file" picture
done
addresses_lead / 'htdocs/index.php /index.php *'
names_are nginx /
for file in wp-config.png edit-wp-config.js wp-config.d/file; do
    answers 200 "/$file" 'a file'
done
answers 301 /wp-config.d
for refused in wp-config.php wp-config.php/x $copies wp-config-old.php/x xwp-config.php/x.css \
    WP-Config-Old.php/x wp-config.old.php/ wp-login.php~ .git/config .git .git/ .htaccess .git/x.php; do
    answers 403 "/$refused"
done
# Nothing that was uploaded is run: not by its name, with a path behind it, in another case, or as the
# index of its directory.
for upload in index.php 2026/11/x.php 2026/11/x.php/a.png sites/2/x.php X.PHP x.phtml x.phar x.php5 \
    d/index.php x.jpg/y.php x.jpg/.php; do
    answers 403 "/wp-content/uploads/$upload"
    answers 403 "//wp-content/./uploads/$upload"
    answers 403 "/wp%2Dcontent/upload%73/$upload"
    answers 403 "/x/../wp-content/uploads/$upload"
done
answers 403 /wp-content/blogs.dir/2/files/x.php
for directory in '' d/; do
    answers 403 "/wp-content/uploads/$directory"
done
# An upload may go to any address, and be as large as PHP takes it.
head -c 2000000 /dev/zero > "$DIR/upload"
for target in / /wp-json/wp/v2/media /wp-admin/ /wp-login.php /nothing.php /acme.inc /wp-config-explained /.NET; do
    get "$target" --data-binary "@$DIR/upload" -H 'Content-Type: image/png'
    is "an upload to $target: status" "$(status)" 200
done
# The address of purges is nobody's file, and no page of WordPress'.
get /.larder/purge -d '{"tags":["x"]}'
is "purge: status" "$(status)" 401
get /.larder/purge -d '{"tags":["x"]}' -H 'X-Larder-Token: 0123456789abcdef'
is "purge: status" "$(status)" 200
