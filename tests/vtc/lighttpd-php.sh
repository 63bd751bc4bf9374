# PHP sites behind lighttpd, with larder-php.conf alone and with larder-wordpress.conf: scripts other
# than index.php, with PATH_INFO, at the root and below an alias; nothing that was uploaded is run,
# by no address; no script is shown.
# needs: lighttpd spawn-fcgi redis-server redis-cli curl php-fpm
# time: 180
. case
. php-names

root=$DIR/htdocs
app=$DIR/app
mkdir -p "$root/mw-config" "$root/.git" "$root/static" "$root/wp-admin" "$app/sub" \
    "$root/wp-content/plugins" "$root/wp-content/uploads/2026" "$root/blog"
cat > "$DIR/script.php" << 'END'
<?php
/* the source */
header('Cache-Control: max-age=60');
echo $_SERVER['SCRIPT_FILENAME'], ' ', $_SERVER['SCRIPT_NAME'], ' ', $_SERVER['PATH_INFO'] ?? '', ' ',
    $_SERVER['QUERY_STRING'], ' ', $_SERVER['PHP_SELF'];
END
for script in index.php rest.php img_auth.php mw-config/index.php wp-admin/index.php blog/index.php \
    wp-content/index.php wp-content/plugins/index.php wp-content/uploads/index.php \
    wp-content/uploads/up.php wp-content/uploads/2026/index.php wp-config.php; do
    cp "$DIR/script.php" "$root/$script"
done
cp "$DIR/script.php" "$app/index.php"
cp "$DIR/script.php" "$app/sub/tool.php"
printf 0123456789 > "$app/file.txt"
printf 0123456789 > "$root/wp-content/uploads/up.jpg"
echo docs > "$root/static/index.html"
copies='wp-config.bak wp-config.txt wp-config.old wp-config.json wp-config~ wp-config wp-config-backup.txt
    WP-CONFIG.BAK old-wp-config.txt wp-config.zip wp-config.php.bak wp-config.php~ wp-config-old.php
    xwp-config.php wp-config.old.php'
for file in $copies .env .htpasswd; do
    cp "$DIR/script.php" "$root/$file"
done
mkdir -p "$root/wp-config.d" "$root/.well-known/acme-challenge" "$root/.git/sub.php" "$root/static/.svn/a"
for file in wp-config.png edit-wp-config.js wp-config.d/file .well-known/acme-challenge/x; do
    echo a file > "$root/$file"
done
mkdir -p "$root/.old" "$root/static/.b" "$root/.git/hooks" "$root/.well-known/y"
for script in .git/index.php .git/sub.php/x.php static/.svn/a/x.php static/.x.php .old/index.php \
    static/.b/index.php .php static/.php "static/.b/a
b.php" .git/index.html .git/hooks/push.sh .git/t.shtml \
    .well-known/.x.php .well-known/y/index.php; do
    cp "$DIR/script.php" "$root/$script"
done
echo text > "$root/static/t.shtml"
names_in "$root"
names_in "$app"
cp "$DIR/script.php" "$root/.git/config"
ln -s wp-content/uploads "$root/linked"
ln -s "$root/wp-content/uploads" "$app/uploads"

fpm start -c 4
redis start
conf url="$(fpm url)" admin='token = "0123456789abcdef";' \
    routes='{ path = "/**"; ttl = "5m"; }'
pool start -n 1

serve() {
    {
        echo 'server.modules += ( "mod_alias" )'
        echo "alias.url = ( \"/app\" => \"$app\", \"/media\" => \"$root/wp-content/uploads\" )"
        echo 'index-file.names += ( "index.html" )'
        echo 'dir-listing.activate = "enable"'
        # As the comment in larder-php.conf says of what else sends, runs or lists files.
        echo 'server.modules += ( "mod_cgi", "mod_ssi" )'
        echo 'cgi.assign = ( ".sh" => "/bin/cat" )'
        echo 'ssi.extension = ( ".shtml" )'
        # shellcheck disable=SC2016
        [ "${2:-}" = plain ] || echo '$HTTP["url"] =~ "/\.(?!well-known(?:/|$))" {
            dir-listing.activate := "disable" cgi.assign := () ssi.extension := () }'
        # With a list of what is allowed lighttpd looks at no list of what is denied.
        [ "${2:-}" != allow ] || echo 'url.access-allow = ( ".php", ".html", "/" )'
        # A line feed in an address; lighttpd refuses it by default.
        echo 'server.http-parseopts = ( "url-ctrls-reject" => "disable" )'
        # As the comment in larder-wordpress.conf says, for the other ways to the uploads.
        # shellcheck disable=SC2016
        echo '$HTTP["url"] =~ "^/(?:media|linked|app/uploads)(?:/|$)" { fastcgi.server := () }'
    } > "$DIR/front.extra"
    SNIPPET=$1 front lighttpd-php "$PORT1"
}
stop() {
    kill "$(cat "$DIR/run/lighttpd-php-$PORT1.pid")"
    await sh -c "! listening $PORT1"
}
# runs TARGET FILE SCRIPT_NAME PATH_INFO QUERY: the answer of that script.
runs() {
    get "$1"
    is "$1: status" "$(status)" 200
    is "$1" "$(cat "$DIR/body")" "$2 $3 $4 $5 $3$4"
}
answers() {
    wanted=$1
    shift
    for target; do
        get "$target" --path-as-is
        is "$target: status" "$(status)" "$wanted"
        if grep -q 'the source' "$DIR/body"; then
            fail "$target shows its source"
        fi
    done
}
scripts() {
    runs / "$root/index.php" /index.php '' ''
    runs /rest.php "$root/rest.php" /rest.php '' ''
    runs '/rest.php/v1/page/A%20b?x=1' "$root/rest.php" /rest.php '/v1/page/A b' 'x=1'
    runs /img_auth.php/a/b.png "$root/img_auth.php" /img_auth.php /a/b.png ''
    runs /mw-config/ "$root/mw-config/index.php" /mw-config/index.php '' ''
    runs '/mw-config/?page=2' "$root/mw-config/index.php" /mw-config/index.php '' page=2
    runs /index.php/2026/post/ "$root/index.php" /index.php /2026/post/ ''

    runs /app/ "$app/index.php" /app/index.php '' ''
    runs '/app/?q=1' "$app/index.php" /app/index.php '' q=1
    runs /app/sub/tool.php "$app/sub/tool.php" /app/sub/tool.php '' ''
    runs /app/sub/tool.php/x/y.css?z "$app/sub/tool.php" /app/sub/tool.php /x/y.css z
    get /app/file.txt -r 2-4
    is "a range of a file" "$(status) $(cat "$DIR/body")" '206 234'
    get /static/
    is "an index that is a file" "$(cat "$DIR/body")" docs

    # Larder is in between, and its own address is its own.
    get '/rest.php/v1/cached'
    await is_hit /rest.php/v1/cached
    get /.larder/purge -d '{"urls":["/rest.php/v1/cached"]}' -H 'X-Larder-Token: 0123456789abcdef'
    is "a purge" "$(status) $(field X-Cache-Invalidate)" '200 done'
    get /rest.php/v1/cached
    is "after the purge" "$(field X-Cache)" MISS

    # What is no script of this site's is not shown, and what is secret neither.
    names_are lighttpd /
    names_are lighttpd /app/
    answers 403 /.git/config //.git/config /%2egit/config /x/../.git/config /.env /.htpasswd /%2Eenv \
        /.git/index.php /.git/index.php/x /.git/sub.php/x.php /.git//sub.php/x.php/.y /static/.svn/a/x.php \
        /static/.svn/a/x.php/.y /static/%2Esvn/a/x.php /static/.x.php /static//.x.php/y /.git/none.php \
        /.well-known/../.git/config /.php /.php/x /static/.php /static//.php /static/.php?x /static/%2ephp \
        /static/.b/a%0ab.php /static/.b/a%0ab.php/x /x/../.php \
        /.well-known/.x.php /.well-known/.x.php/y /.git/hooks/push.sh /.git/t.shtml
    # No index is looked for there, and nothing is listed; the address may be the front controller's.
    for directory in .old .git static/.b .git/hooks .git/sub.php; do
        for target in "/$directory/" "//$directory/" "/$directory/?a" "/%2e${directory#.}/." "/$directory//"; do
            get "$target" --path-as-is
            case $(status)-$(cat "$DIR/body") in
            200-"$root/index.php /index.php "*) ;;
            *'the source'* | *index* | *'href='*) fail "$target: $(cat "$DIR/body")" ;;
            40[34]-*) ;;
            *) fail "$target: status $(status)" ;;
            esac
        done
    done
    answers 200 /.well-known/acme-challenge/x /static/t.shtml
    runs /.well-known/y/ "$root/.well-known/y/index.php" /.well-known/y/index.php '' ''
    # What stands behind the name of a script is its own.
    runs /index.php/.NET "$root/index.php" /index.php /.NET ''
    runs '/rest.php/a/.b/...And_Justice?x=.y' "$root/rest.php" /rest.php /a/.b/...And_Justice 'x=.y'
    runs /app/sub/tool.php/.NET_Framework.php "$app/sub/tool.php" /app/sub/tool.php /.NET_Framework.php ''
}

# Nothing below uploads reaches PHP: by its name, as an index, with PATH_INFO, in another spelling,
# by an alias or a link.
uploads() {
    for place in /wp-content/uploads //wp-content//uploads /wp-content/./uploads /WP-CONTENT/../wp-content/uploads \
        /wp%2dcontent/upload%73 /wp-content/%75ploads /wp-content/plugins/../uploads /wp-content%2Fuploads \
        /media /linked /app/uploads; do
        answers 403 "$place/" "$place/up.php" "$place/2026/" "$place/index.php" "$place/up.php?x" \
            "$place/up%2ephp" "$place/up.ph%70"
        for target in "$place/up.php/x" "$place/up.php/x.jpg" "$place/up.jpg/x.php" "$place/none.php" \
            "$place/none.php/x" "$place/UP.PHP"; do
            get "$target" --path-as-is
            case $(status) in
            403 | 404) continue ;;
            200) ;;
            *) fail "$target: $(status)" ;;
            esac
            # The picture, or a page of WordPress' that there is not.
            case $(cat "$DIR/body") in
            0123456789 | "$root/index.php /index.php "*) ;;
            *) fail "$target: $(cat "$DIR/body")" ;;
            esac
        done
        get "$place/up.jpg" --path-as-is
        is "$place/up.jpg" "$(status) $(cat "$DIR/body")" '200 0123456789'
    done
}

# Any site.
serve larder-php
scripts
get /app
is "a directory without its slash" "$(status) $(field Location | sed "s|^$url||")" '301 /app/'
answers 404 /nothing /nothing.php /nothing.php/x /2026/post/ /acme.inc /tag/acme.inc
answers 301 /dir.inc
stop

# What nobody has told lists no repository, and runs or sends nothing of it.
serve larder-php plain
answers 403 /.git/ /.git/hooks/ /.git/hooks/push.sh /.git/t.shtml /static/.svn/ /static/.svn/a /.git/?a /x/../.git/
runs /index.php/.git/ "$root/index.php" /index.php /.git/ ''
stop

serve larder-php allow
answers 403 /.git/index.php /.git/ /static/.git/index.php
runs /rest.php "$root/rest.php" /rest.php '' ''
stop

# WordPress at the root.
serve larder-wordpress
scripts
uploads
for target in /2026/post/ /nothing /nothing.php '/2026/x.html' /app/nothing/ /tag/.NET /.hack \
    /tag/.NET/ /tag/.NET/b/ /2026/...And/ /2026/...And_Justice_for_All /wp-config-explained/ /wp-config-explained /2026/wp-config.txt; do
    runs "$target" "$root/index.php" /index.php '' ''
done
runs '/?s=1' "$root/index.php" /index.php '' s=1
addresses_lead / "$root/index.php /index.php *"
runs '/2026/post/?a=1&b=%2F' "$root/index.php" /index.php '' 'a=1&b=%2F'
runs /wp-admin/ "$root/wp-admin/index.php" /wp-admin/index.php '' ''
runs '/wp-admin/?x' "$root/wp-admin/index.php" /wp-admin/index.php '' x
get /wp-admin
is "wp-admin without its slash" "$(status) $(field Location | sed "s|^$url||")" '301 /wp-admin/'
answers 404 /wp-content/nothing.css /wp-content/plugins/nothing.php/x
answers 403 /wp-config.php /wp-config.php/x /%77p-config.php //wp-config.php /blog/wp-config.php \
    /wp-config-old.php/x /xwp-config.php/x.css /wp-config.old.php/
for file in $copies; do
    answers 403 "/$file" "//$file"
done
for file in wp-config.bak/x wp-config.txt/x.png; do
    get "/$file"
    if grep -q 'the source' "$DIR/body"; then
        fail "$file shows its source"
    fi
done
answers 200 /wp-config.png /edit-wp-config.js /wp-config.d/file
get /2026/form/ -d a=b
is "a form" "$(status)" 200
stop

# Without a pool: nothing is run, nothing is shown.
pool term
serve larder-wordpress
answers 503 / /rest.php /rest.php/x /app/ /app/sub/tool.php /app/sub/tool.php/x /.larder/purge /2026/post/
stop
pool start -n 1

# WordPress in a directory: what is outside of it is not its.
sed -i 's|^var.larder_wordpress = .*|var.larder_wordpress = "/blog/"|' "$DIR/lighttpd-php-$PORT1.conf"
setsid lighttpd -D -f "$DIR/lighttpd-php-$PORT1.conf" < /dev/null > "$DIR/log/lighttpd" 2>&1 &
await listening "$PORT1"
runs /blog/2026/post/ "$root/blog/index.php" /blog/index.php '' ''
runs '/blog/?p=1' "$root/blog/index.php" /blog/index.php '' p=1
runs /rest.php/v1/x "$root/rest.php" /rest.php /v1/x ''
runs /app/ "$app/index.php" /app/index.php '' ''
answers 404 /nothing /2026/post/ /blogger/x
stop

# Without Larder: lighttpd cuts no page, whatever its address looks like.
for snippet in larder-php larder-wordpress; do
    SOCKET=$DIR/fpm.sock serve "$snippet"
    for target in / /app/ /mw-config/ /rest.php/x.png /wp-admin/; do
        get "$target" -r 2-4
        is "$snippet: no range of $target" "$(status)" 200
    done
    get /app/file.txt -r 2-4
    is "$snippet: a range of a file" "$(status)" 206
    if [ "$snippet" = larder-wordpress ]; then
        for target in /2026/post/ /2026/post.html /2026/x.y/z; do
            get "$target" -r 2-4
            is "$snippet: no range of $target" "$(status)" 200
        done
    fi
    stop
done
