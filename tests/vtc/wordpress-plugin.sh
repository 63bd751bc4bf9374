# Larder's plugin for WordPress: what each kind of change makes stale, and leaves alone, and what
# happens when Larder cannot be told.
# needs: lighttpd spawn-fcgi redis-server redis-cli curl php-fpm php-cli mariadbd wordpress
# time: 240
. case
RULES=bare
. blog
blog

post_id=$(wordpress id post-3)
page_id=$(wordpress id about)
all='/ /page/2/ /post-3/ /post-4/ /about/ /category/fruit/ /category/roots/ /author/admin/ /?s=cool'

# does CODE: a PHP program in WordPress.
does() {
    echo "\$post = $post_id; \$page = $page_id; $1" | wordpress php - > "$DIR/did" 2>&1 || fail "$1: $(cat "$DIR/did")"
}
# dropped CODE TARGET...: it makes those of $all stale, and no others.
dropped() {
    code=$1
    shift
    # shellcheck disable=SC2086
    fill $all
    does "$code"
    for at in $all; do
        case " $* " in
        *" $at "*) from MISS "$at" ;;
        *) from HIT "$at" ;;
        esac
    done
}
everything() {
    # shellcheck disable=SC2086
    dropped "$1" $all
}

# WordPress itself notes some things at the first visit.
# shellcheck disable=SC2086
fill $all

# Posts: their words, their place, their coming and going, for good too.
dropped "wp_update_post(array('ID' => \$post, 'post_content' => 'New words'));" \
    /post-3/ /page/2/ /category/fruit/ /author/admin/ '/?s=cool'
dropped "wp_update_post(array('ID' => \$page, 'post_content' => 'New words'));" /about/ '/?s=cool'
everything "wp_update_post(array('ID' => \$page, 'post_title' => 'Others show it in their menu'));"
dropped "wp_insert_post(array('post_title' => 'New', 'post_status' => 'publish', 'post_author' => 1,
    'post_category' => array(get_cat_ID('Fruit'))));" \
    / /page/2/ /category/fruit/ /author/admin/ '/?s=cool'
dropped "wp_trash_post(get_page_by_path('new', OBJECT, 'post')->ID);" \
    / /page/2/ /category/fruit/ /author/admin/ '/?s=cool'
dropped "wp_set_post_categories(\$post, array(get_cat_ID('Roots')));" \
    /post-3/ /page/2/ /category/fruit/ /category/roots/ /author/admin/ '/?s=cool'
dropped "set_post_thumbnail(\$post, wp_insert_attachment(array('post_title' => 'x',
    'post_mime_type' => 'image/png'), 'x.png'));" \
    /post-3/ /page/2/ /category/roots/ /author/admin/ '/?s=cool'
dropped "wp_delete_post(get_page_by_path('post-19', OBJECT, 'post')->ID, true);" \
    / /page/2/ /category/fruit/ /author/admin/ '/?s=cool'

# What visitors have not seen: drafts, what WordPress saves by itself, a post that is to come.
dropped "\$draft = get_posts(array('post_status' => 'draft'))[0];
    wp_update_post(array('ID' => \$draft->ID, 'post_content' => 'not yet either'));"
dropped "wp_insert_post(array('post_title' => 'Another draft'));"
dropped "require_once ABSPATH . 'wp-admin/includes/post.php';
    wp_set_current_user(1);
    wp_create_post_autosave(array('post_ID' => \$post, 'post_type' => 'post',
        'post_title' => 'x', 'content' => 'saved by itself', 'excerpt' => ''));
    wp_save_post_revision(\$post);"
dropped "update_post_meta(\$post, 'views', 7);"
dropped "wp_insert_post(array('post_title' => 'Tomorrow', 'post_status' => 'future', 'post_author' => 2,
    'post_date' => gmdate('Y-m-d H:i:s', time() + 86400)));"
# When its time has come, it has.
dropped "wp_publish_post(get_posts(array('post_status' => 'future'))[0]);" / /page/2/ '/?s=cool'

# A page that was not there.
get /recipes/
is "not there yet" "$(status)" 404
does "wp_insert_post(array('post_type' => 'page', 'post_title' => 'Recipes', 'post_status' => 'publish'));"
from MISS /recipes/

# Comments: one that waits, one that is approved, changed, deleted.
# shellcheck disable=SC2016
new='$id = wp_insert_comment(array("comment_post_ID" => $post, "comment_content" => "Hm",
    "comment_author" => "V", "comment_approved" => 0));'
# shellcheck disable=SC2016
of='$id = get_comments(array("number" => 1, "post_id" => $post))[0]->comment_ID;'
shown='/post-3/ /page/2/ /category/roots/ /author/admin/'
dropped "$new"
# shellcheck disable=SC2086
dropped "$of wp_set_comment_status(\$id, 'approve');" $shown
# shellcheck disable=SC2086
dropped "$of wp_update_comment(array('comment_ID' => \$id, 'comment_content' => 'Well'));" $shown
# shellcheck disable=SC2086
dropped "$of wp_delete_comment(\$id, true);" $shown

# Price and stock of a product, which WooCommerce changes without its post.
dropped "do_action('woocommerce_update_product', \$page);" /about/ '/?s=cool'
dropped "do_action('woocommerce_product_set_stock', new class(\$page) {
    private \$id;
    function __construct(\$id) { \$this->id = \$id; }
    function get_id() { return \$this->id; } });" /about/ '/?s=cool'
dropped "do_action('woocommerce_product_set_stock_status', \$page, 'outofstock', null);" \
    /about/ '/?s=cool'

# Terms, users.
dropped "\$t = get_term_by('slug', 'roots', 'category');
    wp_update_term(\$t->term_id, 'category', array('name' => 'Below the ground'));" \
    / /page/2/ /post-3/ /post-4/ /category/roots/ /author/admin/ '/?s=cool'
dropped "wp_update_user(array('ID' => 2, 'display_name' => 'Edwina'));" \
    / /page/2/ /post-4/ /category/roots/ '/?s=cool'

# What stands on every page.
everything "update_option('blogname', 'Another name');"
everything "update_option('posts_per_page', 9);"
everything "update_option('widget_text', array(2 => array('text' => 'x')));"
everything "set_theme_mod('background_color', 'aaaaaa');"
everything "\$menu = wp_create_nav_menu('Main'); wp_update_nav_menu_item(\$menu, 0,
    array('menu-item-title' => 'x', 'menu-item-url' => '/x', 'menu-item-status' => 'publish'));"
everything "wp_insert_post(array('post_type' => 'wp_block', 'post_title' => 'x',
    'post_content' => 'in every post', 'post_status' => 'publish'));"
everything "do_action('switch_theme', 'x', wp_get_theme(), wp_get_theme());"
everything "do_action('larder_purge', 'site');"
everything "foreach (range(1, 300) as \$i) { do_action('larder_purge', array(\"x-\$i\")); }"
dropped "update_option('something_else', time());"

# One purge for all that one request changes.
purges() {
    grep -c 'info: purge from' "$DIR/log/larder" || true
}
before=$(purges)
does "foreach (array(1, 2, 3, 4, 5) as \$i) {
    wp_insert_post(array('post_title' => \"One of five\", 'post_status' => 'publish')); }"
is "purges" $(($(purges) - before)) 1

# Pages for one visitor are nobody else's, even if no cookie says so.
for _ in 1 2; do
    from MISS '/post-3/?unapproved=1&moderation-hash=x'
done
cat > "$DIR/htdocs/wp-content/mu-plugins/shop.php" << 'END'
<?php
if (isset($_GET['basket'])) {
    define('DONOTCACHEPAGE', true);
}
if (isset($_GET['early'])) {
    add_action('wp_head', function () {
        ob_flush();
        get_posts(array('post_type' => 'offer'));
    });
}
END
for _ in 1 2; do
    from MISS '/post-3/?basket=1'
done

# One whose head goes out before it is known what it will show: any change may be one of it.
from MISS '/post-4/?early=1'
fill '/post-4/?early=1' /post-4/
does "do_action('larder_purge', 'list-offer');"
stale '/post-4/?early=1'
kept /post-4/

# More posts than a response may have tags.
does "update_option('posts_per_page', 100);
    foreach (range(1, 50) as \$i) {
        wp_insert_post(array('post_title' => \"Many \$i\", 'post_status' => 'publish', 'post_author' => 1));
    }"
fill /
does "wp_update_post(array('ID' => \$post, 'post_content' => 'Newer words'));"
stale /

# Who manages the site can empty the cache, and nobody else.
login admin the-admins-own
login editor the-editors-own
get /wp-admin/ -b "$DIR/admin"
fill /post-3/
get /wp-admin/ -b "$DIR/admin"
has 'Empty the cache'
link=$(sed -n 's/.*href=.\([^>"'"'"']*action=larder_empty[^"'"'"']*\).*/\1/p' "$DIR/body" | head -n 1 |
    sed "s|^$url||; s/&#038;/\&/g; s/&amp;/\&/g")
get "$link" -b "$DIR/editor"
is "an editor: status" "$(status)" 403
get /wp-admin/admin-post.php?action=larder_empty -b "$DIR/admin"
is "without a nonce: status" "$(status)" 403
kept /post-3/
get "$link" -b "$DIR/admin"
is "emptied: status" "$(status)" 302
get "$(field Location | sed "s|^$url||")" -b "$DIR/admin"
has 'The cache of this site is empty.'
stale /post-3/
get /wp-admin/ -b "$DIR/editor"
has_not 'Empty the cache'
if [ -s "$DIR/log/php" ]; then
    fail "PHP says: $(cat "$DIR/log/php")"
fi

# Larder does not take the purge: what was done is done all the same, and who manages the site is told.
good=$(cat "$DIR/wp-config.extra")
echo "$good" | sed "s/$token/not the right token/" > "$DIR/wp-config.extra"
rest admin POST "/wp-json/wp/v2/posts/$post_id" -d 'title=Saved'
is "saved: status" "$(status)" 200
grep -q 'larder: purge at .*: status 401: ' "$DIR/log/php" || fail "not logged: $(cat "$DIR/log/php")"
get /wp-admin/ -b "$DIR/admin"
has 'Larder could not be told of a change'
has 'status 401'
# An editor is told so much as means something to him.
get /wp-admin/ -b "$DIR/editor"
has 'Larder could not be told of a change'
has_not 'status 401'
# Nor does it answer at all: that takes no longer than it may.
echo "$good" | sed "s|/.larder/purge|/slow.php|; s/TIMEOUT', 3/TIMEOUT', 1/" > "$DIR/wp-config.extra"
echo '<?php sleep(20);' > "$DIR/htdocs/slow.php"
began=$(date +%s)
does "wp_update_post(array('ID' => \$post, 'post_content' => 'Saved too'));"
took=$(($(date +%s) - began))
test "$took" -lt 8 || fail "it took $took s to save"
# The next purge makes up for those.
fill /post-4/ /about/
echo "$good" > "$DIR/wp-config.extra"
does "wp_update_post(array('ID' => \$page, 'post_content' => 'x'));"
stale /post-4/ /post-3/
has 'Saved'
get /wp-admin/ -b "$DIR/admin"
has_not 'Larder could not be told of a change'
# Nobody has said where Larder is.
: > "$DIR/wp-config.extra"
does "wp_update_post(array('ID' => \$page, 'post_content' => 'y'));"
get /wp-admin/ -b "$DIR/admin"
has 'Larder is not told of changes'
