# The presets do what they promise: a page that is one visitor's own is never kept, what anonymous
# visitors get is kept once for all of them, and what an editor changes is seen at once.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

LARDER_PRESET_DIR=$SRC/etc/presets
export LARDER_PRESET_DIR
site preset=generic-php

from() {
    wanted=$1 target=$2
    shift 2
    get "$target" "$@"
    is "$target $*: X-Cache" "$(field X-Cache)" "$wanted"
}
fill() {
    for page in "$@"; do
        from MISS "$page"
        await is_hit "$page"
    done
}
detail() {
    field Cache-Status | sed -n 's/.*detail=\([a-z-]*\).*/\1/p'
}
# Neither kept nor answered from what is: twice to the backend, for this reason.
never() {
    for _ in 1 2; do
        from BYPASS "$2"
        is "$2: status" "$(status)" 200
        is "$2: detail" "$(detail)" "$1"
    done
    backend only GET "$2" 2
}
# bypasses PAGE COOKIE...: a page that is there, asked for with each of them, comes from the backend,
# which gets the cookie.
bypasses() {
    page=$1
    shift
    fill "$page"
    for cookie in "$@"; do
        from BYPASS "$page" -b "$cookie"
        is "$cookie at the backend" "$(sed -n 's/^Cookie: \(.*\)\r$/\1/p' "$DIR/body")" "$cookie"
    done
    from HIT "$page"
    ! grep -q '^Cookie:' "$DIR/body" || fail "$page was kept for somebody with a cookie"
}
# ignores PAGE COOKIE...: with any of them it is everybody's, and the backend gets none.
ignores() {
    page=$1
    shift
    from MISS "$page" -b "$*"
    ! grep -q '^Cookie:' "$DIR/body" || fail "the backend got $(grep '^Cookie:' "$DIR/body")"
    await is_hit "$page"
    for cookie in "$@"; do
        from HIT "$page" -b "$cookie"
    done
}
# tracks PAGE QUERY...: one entry for all, and the backend sees the page alone.
tracks() {
    page=$1
    shift
    from MISS "$page?$1"
    await is_hit "$page"
    for query in "$@"; do
        from HIT "$page?$query"
        backend only GET "$page?$query" 0
    done
    backend only GET "$page" 1
}
tracking='utm_source=a&utm_campaign=b gclid=1 fbclid=2 msclkid=3 mc_cid=4 mc_eid=5 _ga=6 gbraid=7
    _gl=8'
analytics='_ga=1 _ga_ABC=2 _gid=3 _gat_x=4 _fbp=5 _pk_id.1.2=6 _gcl_au=7 _hjSession_1=8'

# ------------------------------------------------------------------------------------- generic-php

# What the backend says counts; where it says nothing, a minute.
get '/page'
is "X-Cache" "$(field X-Cache)" MISS
await is_hit /page
"$LARDERCTL" -f "$DIR/larder.conf" explain "$url/page" > "$DIR/explained"
grep -q '^Route: .*(generic-php-page)$' "$DIR/explained" || fail "$(cat "$DIR/explained")"
grep -q '^Fresh: *for another \(1m\|5[0-9]s\)' "$DIR/explained" || fail "$(cat "$DIR/explained")"
fill '/said?h=Cache-Control:max-age=300'
"$LARDERCTL" -f "$DIR/larder.conf" explain "$url/said?h=Cache-Control:max-age=300" > "$DIR/explained"
grep -q '^Fresh: *for another \(5m\|4m\)' "$DIR/explained" || fail "$(cat "$DIR/explained")"
for control in no-store private; do
    from MISS "/silent?h=Cache-Control:$control"
    from MISS "/silent?h=Cache-Control:$control"
    is "detail" "$(detail)" "$control"
done
from MISS '/begins?h=Set-Cookie:PHPSESSID=1'
from MISS '/begins?h=Set-Cookie:PHPSESSID=1'

bypasses '/cookies?echo=1' PHPSESSID=1 laravel_session=2 unheard_of=3
# shellcheck disable=SC2086
ignores '/analytics?echo=1' $analytics
# shellcheck disable=SC2086
tracks /tracked $tracking
never query-in-request '/page?PHPSESSID=1'
from BYPASS /page -H 'Authorization: Basic YTpi'
is "detail" "$(detail)" authorization-in-request

fill /list /item
from BYPASS '/list?status=303&h=Location:/item' -X POST -d a=b
from MISS /item
from HIT /list
from BYPASS /list -X POST -d a=b
from MISS /list

# --------------------------------------------------------------------------------------- wordpress

# By its name this time, and by a reload.
conf preset=wordpress
sed -i 's/^preset = .*/preset = "wordpress";/' "$DIR/larder.conf"
pool signal HUP
explain() {
    "$LARDERCTL" -f "$DIR/larder.conf" explain "$@" > "$DIR/explained"
}
takes() {
    wanted=$1
    shift
    explain "$url$1" -m "$2" || fail "explain $*"
    is "$*: route" "$(sed -n 's/^Route: .*(\(.*\))$/\1/p' "$DIR/explained")" "$wanted"
}
reloaded() {
    explain "$url/" && grep -q '(wordpress-page)' "$DIR/explained"
}
await reloaded

while read -r name method path; do
    takes "$name" "$path" "$method"
    # A site in a subdirectory is the same.
    takes "$name" "/blog$path" "$method"
done << 'END'
wordpress-page GET /
wordpress-page GET /2026/11/hello-world/
wordpress-page GET /feedback/
wordpress-page GET /cartoons/
wordpress-page GET /index.php
wordpress-page GET /wp-content/uploads/2026/a.png
wordpress-form POST /contact/
wordpress-form POST /
wordpress-ajax POST /wp-admin/admin-ajax.php
wordpress-ajax GET /wp-admin/admin-ajax.php?action=x
wordpress-ajax POST /wp-admin/admin-post.php
wordpress-admin-change POST /wp-admin/post.php
wordpress-admin-change POST /wp-admin/edit-tags.php
wordpress-admin-change POST /wp-admin/options.php
wordpress-admin-change POST /wp-admin/options-general.php
wordpress-admin-change POST /wp-admin/nav-menus.php
wordpress-admin-change POST /wp-admin/admin.php?page=seo
wordpress-admin-change POST /shop.php.d/wp/wp-admin/post.php
wordpress-install POST /wp-admin//install.php
wordpress-admin GET /wp-admin
wordpress-admin GET /wp-admin/
wordpress-admin GET /wp-admin/post.php?post=1&action=edit
wordpress-script GET /wp-login.php
wordpress-script POST /wp-login.php/x
wordpress-script GET /wp-signup.php
wordpress-script GET /wp-activate.php?key=a
wordpress-script GET /wp-cron.php?doing_wp_cron
wordpress-script POST /wp-comments-post.php
wordpress-xmlrpc POST /xmlrpc.php
wordpress-rest-autosave POST /wp-json/wp/v2/posts/7/autosaves
wordpress-rest-autosave POST /wp-json/wp/v2/pages/7/autosaves?_locale=user
wordpress-rest-change POST /wp-json/wp/v2/users/me
wordpress-rest-preview POST /wp-json/wp/v2/block-renderer/core/archives
wordpress-rest-change POST /wp-json/wp/v2/posts/7
wordpress-rest-change DELETE /wp-json/wp/v2/comments/7
wordpress-rest-change POST /index.php/wp-json/wp/v2/posts/7
wordpress-rest-batch POST /wp-json/batch/v1
woocommerce-rest-change PUT /wp-json/wc/v3/products/7
wordpress-rest POST /wp-json/wc/store/v1/cart/add-item
wordpress-rest POST /wp-json/wc/v3/orders
wordpress-rest GET /wp-json/wp/v2/posts
wordpress-plain-rest-unseen POST /?rest_route=/wp/v2/posts/7/autosaves
wordpress-plain-rest-unseen POST /index.php?_locale=user&rest_route=%2Fwp%2Fv2%2Fpages%2F7%2Fautosaves
wordpress-plain-rest-change POST /?rest_route=/wp/v2/users/me&_locale=user
wordpress-plain-rest-change POST /?rest_route=/wp/v2/posts/7
wordpress-plain-rest-change POST /index.php?rest_route=%2Fwp%2Fv2%2Fposts%2F7&_locale=user
wordpress-plain-rest-change DELETE /?rest.route=/wp/v2/comments/7
wordpress-plain-rest-change POST /?+rest_route[x]=/wp/v2/posts
wordpress-plain-rest-change POST /?%72est%20route=/batch/v1
wordpress-plain-rest-change PUT /?rest_route=/wc/v3/products/7
wordpress-plain-rest POST /?rest_route=/wc/store/v1/cart/add-item
wordpress-plain-rest GET /?rest_route=/wp/v2/posts
wordpress-rest GET /wp-json
woocommerce-cart GET /cart
woocommerce-cart-pages GET /cart/
woocommerce-checkout GET /checkout/order-received/7/
woocommerce-account GET /my-account/orders/
wordpress-plugin-script GET /wp-content/plugins/a/b.php
wordpress-plugin-assets GET /wp-content/plugins/a/b.js?ver=1
wordpress-theme-assets GET /wp-content/themes/a/style.css
wordpress-assets GET /wp-includes/js/jquery/jquery.min.js
wordpress-feed GET /feed/
wordpress-feed GET /2026/hello/feed/atom/
END

# An anonymous visitor.
fill /hello/
explain "$url/hello/"
grep -q '^Fresh: *for another \(10m\|9m\)' "$DIR/explained" || fail "$(cat "$DIR/explained")"
bypasses '/hello/?echo=1' wordpress_logged_in_0a=1 wordpress_sec_0a=1 wordpress_0a=1 \
    wp-postpass_0a=1 comment_author_0a=1 comment_author_email_0a=1 woocommerce_cart_hash=1 \
    woocommerce_items_in_cart=1 woocommerce_recently_viewed=1 wp_woocommerce_session_0a=1 \
    edd_items_in_cart=1 PHPSESSID=1 wp-settings-1=1 unheard_of=1
# Whoever comes first: what he gets is not kept for the next.
from BYPASS /new/ -b wordpress_logged_in_0a=1
from MISS /new/
# A cookie that is ignored opens nothing for one that is not.
from BYPASS '/hello/?echo=1' -b '_ga=1; wordpress_logged_in_0a=1'
# shellcheck disable=SC2086
ignores '/analytics/?echo=1' $analytics wordpress_test_cookie=1 sbjs_first=1
# shellcheck disable=SC2086
tracks /tracked/ $tracking
# Uploads are pages, what belongs to a theme is everybody's.
fill /wp-content/themes/a/style.css /wp-content/uploads/a.png
from HIT /wp-content/themes/a/style.css -b wordpress_logged_in_0a=1
from BYPASS /wp-content/uploads/a.png -b wordpress_logged_in_0a=1

for page in /wp-admin/ /wp-admin /blog/wp-admin/post.php /wp-login.php /wp-signup.php /wp-cron.php \
    /wp-json/wp/v2/posts /wp-json /xmlrpc.php /cart/ /checkout/ /my-account/ /blog/cart \
    '/?rest_route=/wp/v2/posts' '/hello/?rest.route=/' '/wp-admin/?h=Cache-Control:max-age=300' //wp-admin/ /%77p-admin/; do
    never route-never "$page"
    is "$page: Cache-Control" "$(field Cache-Control)" 'no-store, no-cache, must-revalidate'
done
for query in preview=true preview_id=7 'p=7&preview=true' add-to-cart=7 wc-ajax=get_refreshed_fragments \
    customize_changeset_uuid=1 'unapproved=7&moderation-hash=a'; do
    never query-in-request "/hello/?$query"
done
from BYPASS /hello/ -H 'Authorization: Basic YTpi'

# ------------------------------------------------------------- what an editor changes, and who not

# drops METHOD TARGET and drops_not METHOD TARGET [CURL ARGUMENT...]
pages='/front/ /post/ /feed/ /wp-content/themes/a/style.css?1'
drops() {
    get "$2" -X "$1" -d ''
    for page in $pages; do
        from MISS "$page"
        await is_hit "$page"
    done
}
drops_not() {
    get "$2" -X "$1" -d ''
    for page in $pages; do
        from HIT "$page"
    done
}
# shellcheck disable=SC2086
fill $pages
drops POST '/wp-admin/post.php?status=302&h=Location:/wp-admin/post.php&h=Cache-Control:no-cache&h=X-Frame-Options:SAMEORIGIN'
drops POST '/blog/wp-admin/options.php?status=302&h=Location:/wp-admin/options-general.php&h=Cache-Control:no-cache&h=X-Frame-Options:SAMEORIGIN'
drops POST '/wp-json/wp/v2/posts/7?h=Cache-Control:no-cache&h=Allow:GET,%20POST,%20PUT,%20PATCH,%20DELETE'
drops POST '/wp-json/wp/v2/users/me?h=Cache-Control:no-cache&h=Allow:GET,%20POST,%20PUT,%20PATCH,%20DELETE'
drops POST '/shop.php.d/wp/wp-admin/post.php?status=302&h=Location:/x&h=Cache-Control:no-cache&h=X-Frame-Options:SAMEORIGIN'
drops DELETE '/wp-json/wp/v2/posts/7?h=Cache-Control:no-cache&h=Allow:GET,%20POST,%20PUT,%20PATCH,%20DELETE'
drops POST '/wp-json/batch/v1?status=207&h=Cache-Control:no-cache&h=Allow:GET,%20POST,%20PUT,%20PATCH,%20DELETE'
drops PUT '/wp-json/wc/v3/products/7?h=Cache-Control:no-cache&h=Allow:GET,%20POST,%20PUT,%20PATCH,%20DELETE'
drops POST '/index.php?rest_route=/wp/v2/posts/7&h=Cache-Control:no-cache&h=Allow:GET,%20POST,%20PUT,%20PATCH,%20DELETE'
drops POST '/?rest_route=%2Fwp%2Fv2%2Fposts%2F7&h=Cache-Control:no-cache&h=Allow:GET,%20POST,%20PUT,%20PATCH,%20DELETE'
# Unless WordPress has purged it by itself.
drops_not POST '/wp-admin/post.php?status=302&h=Location:/wp-admin/post.php&h=Cache-Control:no-cache&h=X-Frame-Options:SAMEORIGIN&h=Larder-Purge:done'
drops_not POST '/?rest_route=/wp/v2/posts/7&h=Cache-Control:no-cache&h=Allow:GET,%20POST&h=Larder-Purge:done'

# What anybody might be answered is no change, whatever the address looks like.
drops_not POST /search/foo/wp-admin/bar
drops_not POST /wp-admin/load-styles.php
drops_not POST '/wp-json/wp/v2/posts?_method=GET'
drops_not POST '/wp-json/batch/v1?status=207'
drops_not POST '/?rest_route=/wp/v2/posts&_method=GET'
drops_not POST '/?rest_route=/batch/v1&status=207'
drops_not POST '/?rest_route=/wp/v2/posts/7&status=401'
drops_not POST '/?rest_route=/wp/v2/posts/7/autosaves&h=Cache-Control:no-cache'
drops_not POST /search/wp-json/wc/v3/products/7
drops_not POST '/wp-admin/install.php?h=Cache-Control:no-cache'
drops_not POST '/wp-admin/upgrade.php?h=Cache-Control:no-cache'

# Nor is what others are told that is kept from caches, by what is neither wp-admin nor the interface.
drops_not POST '/my-account/orders/wp-admin/x?h=Cache-Control:no-cache'
drops_not POST '/my-account/orders/wp-json/wp/v2/x?h=Cache-Control:no-cache&h=X-Frame-Options:SAMEORIGIN'
drops_not POST '/my-account/?rest_routes=/wp/v2/x&h=Cache-Control:no-cache&h=Access-Control-Expose-Headers:Link'
drops_not POST '/wp-login.php/wp-admin/post.php?h=Cache-Control:no-cache&h=X-Frame-Options:SAMEORIGIN'
drops_not POST '/wp-login.php//wp-admin/post.php?h=Cache-Control:no-cache&h=X-Frame-Options:SAMEORIGIN'
drops_not POST '/wp-cron.php;/x/wp-admin/post.php?h=Cache-Control:no-cache&h=X-Frame-Options:SAMEORIGIN'
drops_not POST '/wp-admin/x/..%2f..%2fwp-login.php?h=Cache-Control:no-cache&h=X-Frame-Options:SAMEORIGIN'

drops_not POST /wp-admin/admin-ajax.php
drops_not POST '/wp-admin/admin-post.php?status=302&h=Location:/thanks/'
drops_not POST '/wp-admin/post.php?status=403'
drops_not POST '/wp-admin/post.php?status=302&h=Location:/wp-login.php%3Fredirect_to=x%26reauth=1'
drops_not POST /wp-login.php
drops_not POST /xmlrpc.php
drops_not POST /wp-json/wp/v2/posts/7/autosaves
drops_not POST '/wp-json/wp/v2/users/me?status=401'
drops_not POST '/wp-json/wp/v2/posts/7?status=401'
drops_not POST /wp-json/wc/store/v1/cart/add-item
drops_not GET /wp-admin/post.php
drops_not POST /contact/

# A comment drops the page that it stands on, and no other.
get '/wp-comments-post.php?status=302&h=Location:/post/%23comment-7' -X POST -d ''
from MISS /post/
from HIT /front/
await is_hit /post/

# ------------------------------------------------------------------------------------ one's own word

# A route of the site's own comes first, and takes the place of one whose name it has.
conf preset=wordpress routes='{ path = "/cart/help"; ttl = "5m"; client_cache = "1m"; },
    { name = "wordpress-feed"; path = "**/feed/**"; methods = ["GET"]; }'
pool signal HUP
await is_hit /cart/help
from BYPASS /feed/
is "detail" "$(detail)" route-no-ttl
never route-never '/cart/?own'

# A preset that is gone or wrong changes nothing.
mkdir "$DIR/own"
printf 'routes = ( { path = "/wp-own.php"; ttl = "5m"; } );\n' > "$DIR/own/p.conf"
conf
sed -i '1s|.*|preset = "own/p.conf";|' "$DIR/larder.conf"
pool signal HUP
await is_hit /wp-own.php
echo 'admin = { };' >> "$DIR/own/p.conf"
pool signal HUP
await grep -q 'own/p.conf:2: found `admin` in a preset' "$DIR/log/larder"
rm "$DIR/own/p.conf"
pool signal HUP
await grep -q 'larder.conf:1: cannot read .*own/p.conf' "$DIR/log/larder"
from HIT /wp-own.php

# larderctl reads it as the pool does, and tells what it says.
check() {
    code=0
    "$LARDERCTL" "$@" > "$DIR/out" 2> "$DIR/err" || code=$?
}
check check-config "$DIR/larder.conf"
is "check-config: exit code" "$code" 1
conf preset=wordpress
check check-config "$DIR/larder.conf"
is "check-config: exit code" "$code" 0
"$LARDER_FCGI" -t -f "$DIR/larder.conf" > /dev/null 2>&1 || fail "larder-fcgi -t"
"$LARDER_FCGI" --help-config | grep -q '^preset  *string ' || fail "--help-config has no preset"

for list in '' list; do
    # shellcheck disable=SC2086
    check explain --preset $list
    is "explain --preset $list: exit code" "$code" 0
    is "names" "$(sed 's/ .*//' "$DIR/out" | tr '\n' ' ')" 'generic-php wordpress '
    grep -q '^wordpress  *WordPress, ' "$DIR/out" || fail "no description in: $(cat "$DIR/out")"
done
check explain --preset wordpress
is "exit code" "$code" 0
{
    echo "# $SRC/etc/presets/wordpress.conf"
    cat "$SRC/etc/presets/wordpress.conf"
} | cmp - "$DIR/out" || fail "explain --preset does not print the file as it is"
check explain --preset "$SRC/etc/presets/generic-php.conf"
is "that of a file: exit code" "$code" 0
check explain --json --preset wordpress
grep -q '"name": *"wordpress", *"file": *"[^"]*/etc/presets/wordpress.conf", *"text": *"# WordPress' \
    "$DIR/out" || fail "JSON is: $(cat "$DIR/out")"
check explain --preset joomla
is "exit code" "$code" 1
grep -q 'no preset "joomla"; there are: generic-php, wordpress$' "$DIR/err" || fail "$(cat "$DIR/err")"
check explain --preset ../x.conf
is "exit code" "$code" 1
grep -q '\.\./x.conf: No such file' "$DIR/err" || fail "$(cat "$DIR/err")"
check explain
is "neither a URL nor --preset: exit code" "$code" 2
LARDER_PRESET_DIR=$DIR/nowhere
check explain --preset
is "no directory: exit code" "$code" 4
grep -q 'cannot read the directory of presets' "$DIR/err" || fail "$(cat "$DIR/err")"
