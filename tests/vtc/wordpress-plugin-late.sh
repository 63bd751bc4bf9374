# Larder's plugin comes to a WordPress whose pages are in the cache already, goes, comes back and is set
# up otherwise: a change shows at once all the same, whoever sees it, and so it does when a purge fails.
# needs: lighttpd spawn-fcgi redis-server redis-cli curl php-fpm php-cli mariadbd wordpress
# time: 240
. case
. blog

cp "$SRC/contrib/wordpress/larder.php" "$DIR/larder.php"
plugin=$DIR/htdocs/wp-content/mu-plugins/larder.php
blog
good=$(cat "$DIR/wp-config.extra")
rm "$plugin"
post=$(wordpress id post-3)
pages='/ /post-3/ /post-4/ /about/ /category/fruit/ /feed/ /?s=cool'
login editor the-editors-own

# title TITLE: an editor gives it to the post, as the block editor does.
title() {
    rest editor POST "/wp-json/wp/v2/posts/$post" --data-urlencode "title=$1"
    is "$1: status" "$(status)" 200
}
shows() {
    from MISS /post-3/
    has "$1"
    get /
}
# by_night TITLE: nobody's browser has anything to do with it.
by_night() {
    echo "wp_update_post(array('ID' => $post, 'post_title' => '$1'));" | wordpress php - > "$DIR/did" 2>&1 ||
        fail "$(cat "$DIR/did")"
}

# Without the plugin: what is changed in a browser drops everything.
# shellcheck disable=SC2086
fill $pages
title 'Without'
shows 'Without'
# shellcheck disable=SC2086
fill $pages

# It comes. The very first that it hears of is a change past Larder, to pages that it has not tagged.
cp "$DIR/larder.php" "$plugin"
by_night 'First by night'
shows 'First by night'
# shellcheck disable=SC2086
fill $pages
# The next change is known by its tags, and what it does not concern stays.
by_night 'Second by night'
shows 'Second by night'
kept /post-4/ /about/
# shellcheck disable=SC2086
fill $pages
title 'By an editor'
is "X-Cache-Invalidate" "$(field X-Cache-Invalidate)" 'done'
is "Larder-Purge" "$(field Larder-Purge)" ''
shows 'By an editor'
kept /post-4/ /about/
# What it cannot know all of drops everything, as it does without it.
login admin the-admins-own
# shellcheck disable=SC2086
fill $pages
get /wp-admin/options-general.php -b "$DIR/admin"
nonce=$(sed -n 's/.*name="_wpnonce" value="\([0-9a-f]*\)".*/\1/p' "$DIR/body" | head -n 1)
get /wp-admin/options.php -b "$DIR/admin" -d "option_page=general&action=update&_wpnonce=$nonce" \
    -d "blogname=X&siteurl=$url&home=$url"
is "options: status" "$(status)" 302
for page in $pages; do
    from MISS "$page"
done

# It goes: what is in the cache has its tags, and nobody purges those any more.
# shellcheck disable=SC2086
fill $pages
rm "$plugin"
title 'Gone'
shows 'Gone'
# It comes back, after a change that nobody was told of.
# shellcheck disable=SC2086
fill $pages
by_night 'Not told'
cp "$DIR/larder.php" "$plugin"
by_night 'Back'
shows 'Back'

# A page that something else makes has none of its tags, whenever that is.
cat > "$DIR/htdocs/wp-content/mu-plugins/aaa.php" << 'END'
<?php
if (isset($_GET['other'])) {
    add_action('init', function () { echo get_post(POST)->post_title; exit; });
}
END
sed -i "s/POST/$post/" "$DIR/htdocs/wp-content/mu-plugins/aaa.php"
fill '/?other=1'
by_night 'Elsewhere'
from MISS '/?other=1'
has 'Elsewhere'

# Other names for the tags: first under the new ones, and then back under the old ones.
# shellcheck disable=SC2086
fill $pages
echo "$good
define('LARDER_TAG_PREFIX', 'other-');" > "$DIR/wp-config.extra"
by_night 'Other names'
shows 'Other names'
# shellcheck disable=SC2086
fill $pages
echo "$good" > "$DIR/wp-config.extra"
by_night 'The old names'
shows 'The old names'
# Pages that were made under the other names, without a change.
echo "$good
define('LARDER_TAG_PREFIX', 'other-');" > "$DIR/wp-config.extra"
get '/?made'
# shellcheck disable=SC2086
fill $pages
echo "$good" > "$DIR/wp-config.extra"
by_night 'Made under others'
shows 'Made under others'

# The purge fails: Larder hears of it by the answer, and drops everything.
# shellcheck disable=SC2086
fill $pages
echo "$good" | sed "s/$token/not the right token/" > "$DIR/wp-config.extra"
title 'Refused'
shows 'Refused'
get /wp-admin/ -b "$DIR/editor"
has 'Larder could not be told of a change'
has_not 'status 401'
get /wp-admin/ -b "$DIR/admin"
has 'status 401'
# What nobody's browser was there for is made up for by the next page that is made, a minute later.
# shellcheck disable=SC2086
fill $pages
by_night 'Refused by night'
from HIT /post-3/
echo "$good" > "$DIR/wp-config.extra"
echo "\$failed = get_option('larder_purge_failed');
    update_option('larder_purge_failed', array('time' => time() - 61) + \$failed);" |
    wordpress php - > "$DIR/did" 2>&1 || fail "$(cat "$DIR/did")"
get '/?p=123456'
shows 'Refused by night'
get /wp-admin/ -b "$DIR/editor"
has_not 'Larder could not be told of a change'

# What a plugin of the site's changes behind the answer, as WooCommerce does with the price of a product
# that has variations: the end of the answer comes after it, unless PHP-FPM has been told to give it first.
rm "$DIR/htdocs/wp-content/mu-plugins/aaa.php"
cat > "$DIR/htdocs/wp-content/mu-plugins/deferred.php" << 'END'
<?php
if (isset($_POST['deferred'])) {
    add_action('shutdown', function () {
        if (isset($_GET['finish'])) {
            fastcgi_finish_request();
        }
        wp_update_post(array('ID' => POST, 'post_title' => $_POST['deferred']));
        file_put_contents('STATE', '1');
    });
}
END
sed -i "s|POST,|$post,|; s|STATE|$DIR/run/deferred|" "$DIR/htdocs/wp-content/mu-plugins/deferred.php"
chmod 1777 "$DIR/run"
renamed() {
    get /post-3/
    grep -q -F "Deferred, $how" "$DIR/body"
}
for how in end finish; do
    # shellcheck disable=SC2086
    fill $pages
    rm -f "$DIR/run/deferred"
    get "/wp-login.php?$how" -d "deferred=Deferred, $how"
    await test -e "$DIR/run/deferred"
    if [ "$how" = finish ]; then
        await -t 5 renamed
    fi
    renamed || fail "$how: behind the answer: the old page"
done
