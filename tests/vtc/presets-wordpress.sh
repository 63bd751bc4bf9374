# The preset for WordPress with a WordPress, without any plugin: what an editor saves shows at once,
# what he sees is nobody else's, and who is not logged in drops nothing.
# needs: lighttpd spawn-fcgi redis-server redis-cli curl php-fpm php-cli mariadbd wordpress
# time: 240
. case

redis start
wordpress install "$url"
# Two comments in one minute are not spam here.
cat > "$DIR/htdocs/wp-content/mu-plugins/case.php" << 'END'
<?php
add_filter('wp_is_comment_flood', '__return_false', 99);
END
# A request that takes its time.
cat > "$DIR/htdocs/wp-content/mu-plugins/hold.php" << END
<?php
if (isset(\$_GET['hold'])) {
    touch('$DIR/gates/held');
    for (\$n = 0; \$n < 2000 && !file_exists('$DIR/gates/go'); \$n++) {
        usleep(10000);
        clearstatcache();
    }
}
END
fpm start -c 4
conf preset=wordpress url="$(fpm url)"
pool start -n 2
front lighttpd-php "$PORT1"

from() {
    wanted=$1 target=$2
    shift 2
    get "$target" "$@"
    is "$target $*: status" "$(status)" 200
    is "$target $*: X-Cache" "$(field X-Cache)" "$wanted"
}
has() {
    grep -q -F -e "$1" "$DIR/body" || fail "$target: no '$1'"
}
has_not() {
    ! grep -q -F -e "$1" "$DIR/body" || fail "$target: '$1'"
}
pages='/ /post-3/ /about/ /category/fruit/ /feed/'
fill() {
    for page in $pages; do
        get "$page"
        await is_hit "$page"
    done
}
kept() {
    for page in $pages; do
        from HIT "$page"
    done
}
dropped() {
    for page in $pages; do
        from MISS "$page"
        await is_hit "$page"
    done
}
as="-b $DIR/editor"

# Nothing that WordPress says by itself keeps a page of everybody's out.
fill
kept
from HIT '/post-3/?utm_source=letter&fbclid=1' -b '_ga=1; wordpress_test_cookie=x'

# An editor's pages.
get /wp-login.php -c "$DIR/editor"
# shellcheck disable=SC2086
get /wp-login.php -c "$DIR/editor" $as -d log=editor -d pwd=the-editors-own -d testcookie=1 \
    --data-urlencode "redirect_to=$url/wp-admin/"
grep -q wordpress_logged_in "$DIR/editor" || fail "not logged in: $(cat "$DIR/head")"
for page in / /post-3/ /about/; do
    # shellcheck disable=SC2086
    from BYPASS "$page" $as
    has 'id="wpadminbar"'
    from HIT "$page"
    has_not 'id="wpadminbar"'
done
# shellcheck disable=SC2086
from BYPASS /post-4/ $as
from MISS /post-4/
has_not 'id="wpadminbar"'
draft=$(wordpress sql "SELECT ID FROM wp_posts WHERE post_status = 'draft'")
# shellcheck disable=SC2086
from BYPASS "/?p=$draft&preview=true" $as
has 'not yet'
get "/?p=$draft&preview=true"
is "a preview for a stranger: X-Cache" "$(field X-Cache)" BYPASS
has_not 'not yet'

# He saves a post: by the form of wp-admin, and as the block editor does. Both show at once, everywhere.
id=$(wordpress id post-3)
# shellcheck disable=SC2086
get "/wp-admin/post.php?post=$id&action=edit" $as
nonce=$(sed -n 's/.*name="_wpnonce" value="\([0-9a-f]*\)".*/\1/p' "$DIR/body" | head -n 1)
# shellcheck disable=SC2086
get /wp-admin/post.php $as -d "action=editpost&post_ID=$id&post_type=post&comment_status=open&_wpnonce=$nonce" \
    --data-urlencode 'post_title=By a form' --data-urlencode 'content=New words.'
is "the form: status" "$(status)" 302
is "the form: X-Cache-Invalidate" "$(field X-Cache-Invalidate)" done
from MISS /post-3/
has 'By a form'
await is_hit /post-3/
pages='/ /about/ /category/fruit/ /feed/'
dropped
pages='/ /post-3/ /about/ /category/fruit/ /feed/'
rest() {
    # shellcheck disable=SC2086
    curl -sS $as -o "$DIR/nonce" "$url/wp-admin/admin-ajax.php?action=rest-nonce"
    # shellcheck disable=SC2086
    get "$1" -X POST $as -H "X-WP-Nonce: $(cat "$DIR/nonce")" -d "$2"
}
rest "/wp-json/wp/v2/posts/$id" 'title=By+REST'
is "REST: status" "$(status)" 200
from MISS /post-3/
has 'By REST'
await is_hit /post-3/
fill

# What an open editor sends all the time drops nothing.
rest "/wp-json/wp/v2/posts/$id/autosaves" 'title=By+itself'
is "an autosave: status" "$(status)" 200
# shellcheck disable=SC2086
get /wp-admin/admin-ajax.php $as -d 'action=heartbeat&_nonce=x&interval=60'
# shellcheck disable=SC2086
get '/wp-admin/edit.php' $as
is "wp-admin: Cache-Control" "$(field Cache-Control)" 'no-store, no-cache, must-revalidate'
kept

# Nor does who may not.
get /wp-admin/post.php -d "action=editpost&post_ID=$id"
is "a stranger's form: status" "$(status)" 302
get /wp-admin/options.php -d 'action=update'
get "/wp-json/wp/v2/posts/$id" -d 'title=x'
is "a stranger's REST: status" "$(status)" 401
get /wp-login.php -d 'log=editor&pwd=guessed'
get /xmlrpc.php -H 'Content-Type: text/xml' \
    -d '<methodCall><methodName>system.listMethods</methodName></methodCall>'
is "XML-RPC: status" "$(status)" 200
kept
# Nor does an address that only looks as if, nor a cookie that somebody has made up.
for target in /wp-admin/install.php /wp-admin/upgrade.php /wp-admin/maint/repair.php \
    /wp-admin/load-styles.php /wp-admin/load-scripts.php /search/foo/wp-admin/bar \
    /category/wp-admin/fruit '/wp-json/wp/v2/posts?_method=GET' '/wp-json/wp/v2/posts?_method=OPTIONS' \
    /wp-json/batch/v1 /search/wp-json/wp/v2/x; do
    get "$target" -d 'x=1'
    get "$target" -d 'x=1' -b 'wordpress_logged_in_0123456789abcdef0123456789abcdef=editor%7C9999999999%7Cx%7Cy'
done
kept

# Nor does anybody switch it off by sending without end: while it is not known who that is, and what it
# does, pages are used and stored.
for target in "/wp-json/wp/v2/posts/$id?hold=1" '/wp-admin/post.php?hold=1' \
    "/?rest_route=/wp/v2/posts/$id&hold=1"; do
    rm -f "$DIR/gates/held" "$DIR/gates/go"
    curl -sS -o /dev/null "$url$target" -d 'title=x' &
    held=$!
    await test -e "$DIR/gates/held"
    kept
    get "/?s=cool&$held"
    await is_hit "/?s=cool&$held"
    touch "$DIR/gates/go"
    wait "$held"
    kept
done

# A visitor's comment is held. He sees it by his cookie, or by an address of his own; and his page is
# fetched anew for the others.
comment() {
    get /wp-comments-post.php --data-urlencode "comment=$1" -d "comment_post_ID=$id" \
        -d "author=Vera&email=vera@site.example" "$2" "$3" "$4" "$5"
    is "a comment: status" "$(status)" 302
    next=$(field Location | sed "s|^$url||; s|#.*||")
}
comment 'What about cheese?' -c "$DIR/visitor" -d wp-comment-cookies-consent=yes
from BYPASS "$next" -b "$DIR/visitor"
has 'cheese'
from MISS /post-3/
has_not 'cheese'
await is_hit /post-3/
comment 'What about butter?' -c "$DIR/nothing" -d url=
for _ in 1 2; do
    from BYPASS "$next"
    has 'butter'
done
from HIT /post-3/
has_not 'butter'
from HIT /
if [ -s "$DIR/log/php" ]; then
    fail "PHP says: $(cat "$DIR/log/php")"
fi
