# WordPress' rewriting and denials behind Apache, for a WordPress at the root of a site and for Debian's,
# which lies elsewhere and has its wp-content in a third place. (wordpress-apache-*.sh have a real one.)
# needs: apache2 mod_proxy_fcgi mod_fcgid spawn-fcgi redis-server redis-cli curl php-fpm
. case
. php-names

# Each says who it is; nothing that was uploaded may.
write() {
    mkdir -p "$(dirname "$DIR/$1")"
    cat > "$DIR/$1" << 'END'
<?php
echo basename(__DIR__), '/', basename(__FILE__), ' ', $_SERVER['SCRIPT_NAME'], ' ', $_SERVER['REQUEST_URI'];
END
}
copies='wp-config.bak wp-config.txt wp-config.old wp-config.json wp-config~ wp-config wp-config-backup.txt
    WP-CONFIG.BAK old-wp-config.txt wp-config.zip wp-config.php.bak wp-config.php~ wp-config-old.php
    xwp-config.php wp-config.old.php'
for root in htdocs debian; do
    for script in index wp-login wp-config wp-admin/index wp-admin/admin wp-config-sample.old; do
        write "$root/$script.php"
    done
    for copy in $copies .git/config .env; do
        write "$root/$copy"
    done
    echo '# none' > "$DIR/$root/.htaccess"
    for file in wp-config.png edit-wp-config.js; do
        echo a file > "$DIR/$root/$file"
    done
    names_in "$DIR/$root"
done
for content in htdocs/wp-content debian-content; do
    for script in plugins/a/index.php uploads/index.php uploads/2026/11/x.php uploads/sites/2/x.php \
        uploads/X.PHP uploads/x.phtml uploads/x.phar uploads/x.php5 uploads/x.php.jpg uploads/d/index.php; do
        write "$content/$script"
    done
    # And what WordPress makes of such names.
    for file in 2026/11/x.png talk.php_.pdf; do
        echo picture > "$DIR/$content/uploads/$file"
    done
done
cat > "$DIR/front.extra" << END
Define LARDER_WORDPRESS "$DIR/debian"
Include larder/larder-wordpress.conf
Alias /blog/wp-content "$DIR/debian-content"
Alias /blog "$DIR/debian"
Alias /media "$DIR/htdocs/wp-content/uploads"
END

redis start
fpm start 'security.limit_extensions=.php .phtml .phar'
conf url="$(fpm url)" responder='workers = 1; max_fetchers = 1;' admin='token = "0123456789abcdef";' routes='
    { path = "/**"; }'
pool start -n 2
front apache-proxy-fcgi-php "$PORT1"
# Apache's user opens the log now.
chmod 666 "$DIR/log/larder"
front apache-mod-fcgid-php "$PORT2"

# answers STATUS TARGET [BODY]
answers() {
    get "$2"
    is "$2: status" "$(status)" "$1"
    grep -q '<?php' "$DIR/body" && fail "$2: the source was sent"
    [ $# -eq 2 ] || is "$2: body" "$(cat "$DIR/body")" "$3"
}
for port in "$PORT1" "$PORT2"; do
    url=http://127.0.0.1:$port
    for place in ' htdocs' '/blog debian'; do
        at=${place% *} name=${place#* }
        for target in / /index.php /2026/11/a-post/ /feed/ '/?p=1' /wp-json/wp/v2/posts /category/a.b/ \
            /wp-config-explained/ /2026/wp-config.txt /nothing.php /index.php/2026/post \
            /.NET /wiki/.NET /wiki/...And_Justice_for_All /wp-admin/.NET /wp-admin/.NET/x /.hack/x.php; do
            answers 200 "$at$target" "$name/index.php $at/index.php $at$target"
        done
        answers 200 "$at/wp-login.php?action=x" "$name/wp-login.php $at/wp-login.php $at/wp-login.php?action=x"
        answers 200 "$at/wp-admin/" "wp-admin/index.php $at/wp-admin/index.php $at/wp-admin/"
        answers 301 "$at/wp-admin"
        answers 200 "$at/wp-content/plugins/a/" "a/index.php $at/wp-content/plugins/a/index.php $at/wp-content/plugins/a/"
        answers 200 "$at/wp-content/uploads/2026/11/x.png" picture
        answers 200 "$at/wp-content/uploads/talk.php_.pdf" picture
        addresses_lead "$at/" "$name/index.php $at/index.php *"
        names_are apache "$at/"
        answers 301 "$at/dir.inc"

        for refused in wp-config.php wp-config.php/x $copies wp-config.bak/x wp-config-old.php/x \
            xwp-config.php/x.css .git .git/ .git/none .git/config .htaccess .env .env/x; do
            answers 403 "$at/$refused"
        done
        for file in wp-config.png edit-wp-config.js; do
            answers 200 "$at/$file" 'a file'
        done
        # Nothing that was uploaded is run: not by its name, with a path behind it, in another case, or as
        # the index of its directory.
        for upload in index.php 2026/11/x.php 2026/11/x.php/a.png sites/2/x.php X.PHP x.phtml x.phar x.php5 \
            x.php.jpg d/index.php; do
            answers 403 "$at/wp-content/uploads/$upload"
            answers 403 "$at//wp-content/./uploads/$upload"
            answers 403 "$at/wp%2Dcontent/upload%73/$upload"
        done
        for directory in '' d/; do
            answers 403 "$at/wp-content/uploads/$directory"
        done
    done
    for upload in index.php 2026/11/x.php/a.png X.PHP x.phtml d/; do
        answers 403 "/media/$upload"
    done
    answers 200 /media/2026/11/x.png picture
    # The address of purges is nobody's file, and no page of WordPress'.
    get /.larder/purge -d '{"tags":["x"]}'
    is "purge: status" "$(status)" 401
    get /.larder/purge -d '{"tags":["x"]}' -H 'X-Larder-Token: 0123456789abcdef'
    is "purge: status" "$(status)" 200
done
