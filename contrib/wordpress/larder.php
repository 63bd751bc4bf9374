<?php
/*
 * Plugin Name: Larder
 * Description: Tags what visitors get, and purges it from Larder when it changes.
 * Version: 0.1.0
 * Requires PHP: 7.4
 * License: BSD-2-Clause
 *
 * One file, for wp-content/mu-plugins/. In wp-config.php:
 *
 *     define('LARDER_PURGE_URL', 'http://127.0.0.1/.larder/purge');   admin.path of larder.conf
 *     define('LARDER_PURGE_TOKEN', '...');                            admin.token
 *     define('LARDER_PURGE_TIMEOUT', 5);     seconds; this if not set
 *     define('LARDER_TAG_PREFIX', 'blog-');  where several sites share one namespace of Larder
 *
 * The address must be on a host that Larder serves: 127.0.0.1 where Larder is in the default site of
 * port 80, otherwise the site's own (https://blog.example/.larder/purge).
 *
 * In larder.conf preset = "wordpress" is all that is needed, and neither has to be there before the
 * other: what is in the cache when this file comes, goes or is changed is dropped as it has to be.
 * Routes of your own for pages have tags = ["wordpress"] and default_tag = "wordpress-untagged".
 *
 * The idea: a page is tagged with what it shows (Surrogate-Key, which Larder takes out), and a change
 * purges the tags of what was changed. The change has happened before anybody is told so: all that
 * one request changes is purged in one go before its answer goes out, so whoever saved something and
 * looks at the site sees it. What is changed behind the answer (wp-cron.php, a plugin at "shutdown")
 * is purged at the very end of the request.
 *
 * The tags, each behind the prefix, and behind "bN-" of blog N of a multisite:
 *
 *     site                  everything
 *     post-N                shows that post, as one of several perhaps; by-N: a post of that user's
 *     home feed date search archive-TYPE term-N author-N 404 sitemap rest comments
 *                           kinds of pages, which change when a post comes or goes
 *     list-TYPE             shows posts of that type by a rule of its own (a block, a widget)
 *     index-TYPE            shows names, addresses or numbers of such posts (menus of pages, "next")
 *     terms                 shows terms (a cloud of tags)
 *     any-post, any         shows more posts, or more of all kinds, than there may be tags; "any"
 *                           changes with every purge
 *
 * What the page is made of is known when it has been made, so the field is added at the end; a page
 * is held back for that, as PHP does it with the first 4 KiB anyway. One that is larger than 1 MiB, or
 * goes out in parts, counts as "any".
 *
 * What it does not know of: options of plugins, fields of posts that change without the post (save
 * that of its image and its template), and SQL. Such a plugin calls
 *
 *     do_action('larder_purge', array('post-7'));      without the prefix; array('site') for all
 *     add_filter('larder_tags', function ($tags) { ... });
 *
 * How that goes together with the preset: a page that this plugin has not tagged has the tag
 * "wordpress-untagged" from its route, and goes with every purge. The preset drops all pages (its tag
 * "wordpress") with every change in wp-admin or by the REST interface, unless the answer says that it
 * is purged already (Larder-Purge: done). The plugin says so where it knows all that such a request
 * changes: posts, pages, media, comments, terms, users, products. It does not for options, themes,
 * plugins and their pages, nor when a purge has failed.
 *
 * A purge that fails never keeps anything from being saved. It is logged, shown to editors, and tried
 * again with the next page that is made, a minute later at the earliest, for the whole site.
 */

if (!defined('ABSPATH')) {
    exit;
}

final class Larder_Plugin
{
    /* Larder does not store a response with more tags (64), and one may come from elsewhere. */
    const TAGS_MAX = 60;
    /* Beyond this the whole site is purged: as fast, and no page that is worth much remains. */
    const PURGE_MAX = 200;
    /* No more of a page is held back. A download has to fit through, whatever its size. */
    const HELD_MAX = 1048576;
    const TIMEOUT_S = 5.0;
    const ANSWER_MAX = 65536;
    /* Where it is noted that a purge failed, and how often it is tried again. */
    const FAILED = 'larder_purge_failed';
    const RETRY_S = 60;
    /* What the preset's routes give to every page, and to those that have no tags of ours. */
    const WHOLE = 'wordpress';
    const UNTAGGED = 'wordpress-untagged';
    /* Where it is noted how pages are tagged. Under other names than before nothing would be found
     * that is in the cache already, so all of it goes when this, the prefix or the address changes. */
    const NAMES = 'larder_tags';
    const NAMES_VERSION = 1;

    /* What is changed there is changed by WordPress itself, and so we know all of it. */
    const ADMIN_PAGES = array('post.php', 'post-new.php', 'edit.php', 'edit-comments.php', 'comment.php',
        'edit-tags.php', 'upload.php', 'async-upload.php', 'media-new.php', 'profile.php',
        'user-edit.php', 'user-new.php', 'users.php');
    const REST_CONTROLLERS = array('WP_REST_Posts_Controller', 'WP_REST_Terms_Controller',
        'WP_REST_Comments_Controller', 'WP_REST_Users_Controller');
    const REST_ROUTES = '#^/wc/v\d+/products(?:/|$)#';

    /* What templates and menus are made of: any page may have it. */
    const FURNITURE = array('wp_template', 'wp_template_part', 'wp_navigation', 'wp_global_styles',
        'wp_block', 'nav_menu_item', 'custom_css');
    /* What nobody sees. */
    const INVISIBLE = array('revision', 'customize_changeset', 'oembed_cache', 'user_request');

    /* Options that pages show or are made by. */
    const OPTIONS = array('blogname', 'blogdescription', 'home', 'siteurl', 'permalink_structure',
        'category_base', 'tag_base', 'posts_per_page', 'posts_per_rss', 'rss_use_excerpt',
        'show_on_front', 'page_on_front', 'page_for_posts', 'wp_page_for_privacy_policy',
        'date_format', 'time_format', 'timezone_string', 'gmt_offset', 'start_of_week', 'WPLANG',
        'stylesheet', 'template', 'sidebars_widgets', 'site_icon', 'site_logo', 'blog_public',
        'blog_charset', 'active_plugins', 'use_smilies', 'default_comment_status',
        'comment_registration', 'require_name_email', 'close_comments_for_old_posts',
        'close_comments_days_old', 'thread_comments', 'thread_comments_depth', 'page_comments',
        'comments_per_page', 'default_comments_page', 'comment_order', 'show_avatars',
        'avatar_default', 'avatar_rating', 'show_comments_cookies_opt_in', 'users_can_register');

    /* Of the page that is being made, as keys; with their prefix. */
    private static $tags = array();
    /* Not for the cache, whatever its address and cookies look like. */
    private static $personal = false;
    /* What has become stale and has not been purged yet, as keys; with their prefix. */
    private static $stale = array();
    /* The tags of the sites that it is of: more than one perhaps in a multisite. */
    private static $sites = array();
    /* How pages are tagged from now on, if that is to be noted when the purge is done. */
    private static $names = '';
    /* A purge of this request has failed. */
    private static $failed = false;

    public static function start(): void
    {
        add_action('template_redirect', array(__CLASS__, 'page'), PHP_INT_MIN);
        add_filter('rest_post_dispatch', array(__CLASS__, 'rest'), 10, 3);

        add_action('transition_post_status', array(__CLASS__, 'status'), 10, 3);
        add_action('post_updated', array(__CLASS__, 'updated'), 10, 3);
        add_action('before_delete_post', array(__CLASS__, 'deleted'), 10, 1);
        add_action('set_object_terms', array(__CLASS__, 'filed'), 10, 6);
        foreach (array('add_attachment', 'edit_attachment', 'delete_attachment') as $hook) {
            add_action($hook, array(__CLASS__, 'attachment'));
        }
        foreach (array('added_post_meta', 'updated_post_meta', 'deleted_post_meta') as $hook) {
            add_action($hook, array(__CLASS__, 'meta'), 10, 3);
        }
        add_action('wp_insert_comment', array(__CLASS__, 'comment'), 10, 2);
        add_action('edit_comment', array(__CLASS__, 'comment'));
        add_action('delete_comment', array(__CLASS__, 'comment'), 10, 2);
        add_action('transition_comment_status', array(__CLASS__, 'comment_status'), 10, 3);
        add_action('created_term', array(__CLASS__, 'term_created'), 10, 3);
        add_action('edit_terms', array(__CLASS__, 'term_edited'), 10, 2);
        add_action('edited_term', array(__CLASS__, 'term_edited_too'), 10, 3);
        add_action('delete_term', array(__CLASS__, 'term_deleted'), 10, 5);
        add_action('profile_update', array(__CLASS__, 'user'));
        add_action('delete_user', array(__CLASS__, 'user'));
        add_action('deleted_user', array(__CLASS__, 'user'), 10, 2);
        foreach (array('wp_update_nav_menu', 'wp_delete_nav_menu', 'switch_theme',
            'customize_save_after', 'upgrader_process_complete') as $hook) {
            add_action($hook, array(__CLASS__, 'everything'));
        }
        foreach (array('added_option', 'updated_option', 'deleted_option') as $hook) {
            add_action($hook, array(__CLASS__, 'option'));
        }
        // Price and stock are no part of the post: an order, an import, the REST interface and the end
        // of a sale change them without it.
        foreach (array('woocommerce_update_product', 'woocommerce_update_product_variation',
            'woocommerce_product_set_stock', 'woocommerce_variation_set_stock',
            'woocommerce_product_set_stock_status', 'woocommerce_variation_set_stock_status') as $hook) {
            add_action($hook, array(__CLASS__, 'product'));
        }
        add_action('larder_purge', array(__CLASS__, 'stale'));

        // Whichever comes first of what ends a request: before a redirect, before the answer of the
        // REST interface, before the output that has been collected goes out.
        add_filter('wp_redirect', array(__CLASS__, 'redirected'), PHP_INT_MAX);
        add_filter('rest_pre_echo_response', array(__CLASS__, 'answered'), PHP_INT_MAX, 3);
        add_action('shutdown', array(__CLASS__, 'ended'), 0);
        // What other plugins change behind that (WooCommerce: the price of a product with variations),
        // and behind an answer that has been sent already.
        add_action('shutdown', array(__CLASS__, 'ended'), PHP_INT_MAX);
        add_action('init', array(__CLASS__, 'names'));

        add_action('admin_bar_menu', array(__CLASS__, 'admin_bar'), 90);
        add_action('admin_post_larder_empty', array(__CLASS__, 'empty_cache'));
        add_action('admin_init', array(__CLASS__, 'again'));
        add_action('template_redirect', array(__CLASS__, 'again'), PHP_INT_MIN);
        add_action('admin_notices', array(__CLASS__, 'notices'));
    }

    /* Names of tags as they are sent. */
    private static function tag(string $name): string
    {
        $prefix = defined('LARDER_TAG_PREFIX') ? (string)LARDER_TAG_PREFIX : '';
        if (is_multisite()) {
            $prefix .= 'b' . get_current_blog_id() . '-';
        }
        return substr(preg_replace('/[^A-Za-z0-9_.-]/', '-', $prefix . $name), 0, 128);
    }

    // ------------------------------------------------------------------------ what a page shows

    private static function shows(string ...$names): void
    {
        foreach ($names as $name) {
            self::$tags[self::tag($name)] = true;
        }
    }

    private static function shows_posts($posts): void
    {
        foreach (is_array($posts) ? $posts : array() as $post) {
            if ($post instanceof WP_Post) {
                self::shows("post-{$post->ID}", "by-{$post->post_author}");
            } elseif (is_numeric($post)) {
                self::shows("post-$post");
            }
        }
    }

    /* Before anything else that answers by itself: a redirect to the right address, a map of the
     * site. */
    public static function page(): void
    {
        global $wp_query;
        if (is_user_logged_in() || is_preview() || is_customize_preview() ||
            // His own comment, which is not for others yet; his name; what he has the password of.
            isset($_GET['unapproved']) || isset($_GET['moderation-hash']) ||
            preg_grep('/^(?:comment_author_|wp-postpass_)/', array_map('strval', array_keys($_COOKIE)))) {
            self::$personal = true;
        } else {
            self::main($wp_query);
            add_action('pre_get_posts', array(__CLASS__, 'listed'), PHP_INT_MAX);
            add_action('pre_get_comments', array(__CLASS__, 'comments_listed'), PHP_INT_MAX);
            add_action('pre_get_terms', array(__CLASS__, 'terms_listed'), PHP_INT_MAX);
            add_filter('get_pages', array(__CLASS__, 'pages_listed'), PHP_INT_MAX, 2);
            foreach (array('get_previous_post_where', 'get_next_post_where', 'getarchives_where',
                'get_calendar') as $hook) {
                add_filter($hook, array(__CLASS__, 'counted'));
            }
        }
        ob_start(array(__CLASS__, 'finish'), self::HELD_MAX);
    }

    private static function main(WP_Query $query): void
    {
        self::shows('site');
        $object = $query->get_queried_object();
        $kinds = array('home' => $query->is_home() || $query->is_front_page(),
            'feed' => $query->is_feed(), 'date' => $query->is_date(),
            'search' => $query->is_search(), '404' => $query->is_404(),
            'comments' => $query->is_comment_feed(),
            'sitemap' => $query->get('sitemap') !== '' || $query->get('sitemap-stylesheet') !== '');
        foreach ($kinds as $kind => $so) {
            if ($so) {
                self::shows((string)$kind);
            }
        }
        if ($object instanceof WP_Term) {
            self::shows("term-{$object->term_id}");
        } elseif ($object instanceof WP_User) {
            self::shows("author-{$object->ID}", "by-{$object->ID}");
        } elseif ($object instanceof WP_Post_Type) {
            self::shows("archive-{$object->name}");
        } elseif ($object instanceof WP_Post) {
            self::shows_posts(array($object));
        }
        // A page of several terms at once has one of them as its object.
        foreach ($query->is_singular() || !$query->tax_query ? array()
            : $query->tax_query->queried_terms as $taxonomy => $asked) {
            foreach (isset($asked['terms']) ? (array)$asked['terms'] : array() as $value) {
                $term = get_term_by(isset($asked['field']) ? $asked['field'] : 'slug', $value, $taxonomy);
                if ($term instanceof WP_Term) {
                    self::shows("term-{$term->term_id}");
                }
            }
        }
        self::shows_posts($query->posts);
    }

    /* Some other query of the page's. */
    public static function listed($query): void
    {
        $types = (array)($query->get('post_type') ?: 'post');
        $named = $query->get('post__in') ?: ($query->get('p') ?: $query->get('page_id'));
        if ($named && count((array)$named) <= 20) {
            self::shows_posts((array)$named);
            return;
        }
        foreach (array_diff($types, self::FURNITURE, self::INVISIBLE) as $type) {
            self::shows("list-$type");
        }
    }

    public static function comments_listed($query): void
    {
        if (empty($query->query_vars['post_id'])) {
            self::shows('comments');
        }
    }

    public static function terms_listed($query): void
    {
        $asked = $query->query_vars;
        foreach (array('object_ids', 'include', 'slug', 'name', 'term_taxonomy_id') as $named) {
            if (!empty($asked[$named])) {
                return;
            }
        }
        foreach ((array)$asked['taxonomy'] as $taxonomy) {
            if (is_taxonomy_viewable($taxonomy)) {
                self::shows('terms');
            }
        }
    }

    public static function pages_listed($pages, $asked)
    {
        self::shows('index-' . (isset($asked['post_type']) ? $asked['post_type'] : 'page'));
        return $pages;
    }

    public static function counted($passed)
    {
        self::shows('index-' . (get_post_type() ?: 'post'), 'index-post');
        return $passed;
    }

    /* The page is whole, or a part of it goes out already: the last moment for a field. */
    public static function finish(string $output, int $phase): string
    {
        if (headers_sent()) {
            return $output;
        }
        // What other plugins say about themselves where they make a page for one visitor.
        if (self::$personal || (defined('DONOTCACHEPAGE') && DONOTCACHEPAGE) || is_user_logged_in()) {
            header('Larder-Cache-Control: no-store');
            return $output;
        }
        if (!($phase & PHP_OUTPUT_HANDLER_FINAL)) {
            // Nobody knows what else it will show.
            self::shows('any');
        }
        header('Surrogate-Key: ' . implode(' ', self::few((array)apply_filters('larder_tags',
            array_map('strval', array_keys(self::$tags))))));
        return $output;
    }

    /* No more of them than Larder takes. */
    private static function few(array $tags): array
    {
        if (count($tags) <= self::TAGS_MAX) {
            return $tags;
        }
        $single = '/^' . preg_quote(self::tag(''), '/') . '(?:post|by)-\d+$/D';
        $tags = array_values(preg_grep($single, $tags, PREG_GREP_INVERT));
        $tags[] = self::tag('any-post');
        return count($tags) <= self::TAGS_MAX ? $tags : array(self::tag('site'), self::tag('any'));
    }

    public static function rest($response, $server, $request)
    {
        if (!is_user_logged_in() && in_array($request->get_method(), array('GET', 'HEAD'), true)) {
            $response->header('Surrogate-Key', self::tag('site') . ' ' . self::tag('rest'));
        }
        return $response;
    }

    // ------------------------------------------------------------------------------ what changes

    /* Names without their prefix. */
    public static function stale($names): void
    {
        foreach ((array)$names as $name) {
            self::$stale[self::tag((string)$name)] = true;
        }
        self::$stale[self::tag('any')] = true;
        self::$sites[self::tag('site')] = true;
    }

    public static function everything(): void
    {
        self::stale('site');
    }

    /* Published: what visitors may have been shown. "inherit" is an attachment's. */
    private static function public_status(string $status): bool
    {
        return $status === 'publish' || $status === 'inherit' ||
            in_array($status, get_post_stati(array('public' => true)), true);
    }

    /* What a page showed of it has changed. */
    private static function content(WP_Post $post): void
    {
        if (in_array($post->post_type, self::FURNITURE, true)) {
            self::everything();
            return;
        }
        self::stale(array("post-{$post->ID}", "list-{$post->post_type}", 'list-any', 'any-post'));
        if (is_post_type_viewable($post->post_type)) {
            self::stale(array('search', 'rest'));
        }
    }

    /* It has come, or gone, or is in another place, or has another name. */
    private static function place(WP_Post $post): void
    {
        self::content($post);
        if (!is_post_type_viewable($post->post_type)) {
            return;
        }
        self::stale(array("archive-{$post->post_type}", "index-{$post->post_type}", 'index-post',
            'terms', '404', 'sitemap'));
        if ($post->post_type !== 'page' && $post->post_type !== 'attachment') {
            self::stale(array('home', 'feed', 'date', "author-{$post->post_author}"));
        }
        foreach (get_object_taxonomies($post->post_type) as $taxonomy) {
            $terms = get_the_terms($post->ID, $taxonomy);
            self::stale_terms(is_array($terms) ? wp_list_pluck($terms, 'term_id') : array(), $taxonomy);
        }
    }

    /* Those above them list what is in them too. */
    private static function stale_terms(array $ids, string $taxonomy): void
    {
        foreach ($ids as $id) {
            self::stale("term-$id");
            foreach (get_ancestors($id, $taxonomy, 'taxonomy') as $above) {
                self::stale("term-$above");
            }
        }
    }

    public static function status($new, $old, $post): void
    {
        if (in_array($post->post_type, self::INVISIBLE, true) ||
            (!self::public_status($new) && !self::public_status($old))) {
            return;
        }
        if (self::public_status($new) && self::public_status($old)) {
            self::content($post);
        } else {
            self::place($post);
        }
    }

    public static function updated($id, $after, $before): void
    {
        if (in_array($after->post_type, self::INVISIBLE, true) ||
            !self::public_status($after->post_status) || !self::public_status($before->post_status)) {
            return;
        }
        foreach (array('post_title', 'post_name', 'post_parent', 'post_date', 'menu_order', 'post_author',
            'post_type', 'post_password') as $name) {
            if ($after->$name != $before->$name) {
                self::place($after);
                self::place($before);
                return;
            }
        }
    }

    public static function deleted($id): void
    {
        $post = get_post($id);
        if ($post && !in_array($post->post_type, self::INVISIBLE, true) &&
            self::public_status($post->post_status)) {
            self::place($post);
        }
    }

    /* Put into other categories, while it stays what it is. */
    public static function filed($id, $terms, $new, $taxonomy, $append, $old): void
    {
        $post = get_post($id);
        $changed = array_merge(array_diff($new, $old), $append ? array() : array_diff($old, $new));
        if (!$changed || !$post || !self::public_status($post->post_status) ||
            in_array($post->post_type, self::INVISIBLE, true)) {
            return;
        }
        self::content($post);
        self::stale(array('terms', 'sitemap'));
        foreach ($changed as $number) {
            $term = get_term_by('term_taxonomy_id', $number, $taxonomy);
            if ($term instanceof WP_Term) {
                self::stale_terms(array($term->term_id), $taxonomy);
            }
        }
    }

    public static function attachment($id): void
    {
        $post = get_post($id);
        if ($post) {
            self::content($post);
            if ($post->post_parent) {
                self::stale("post-{$post->post_parent}");
            }
        }
    }

    /* Of the fields of posts those that every theme goes by. Others change with each view perhaps. */
    public static function meta($number, $id, $key): void
    {
        $post = in_array($key, array('_thumbnail_id', '_wp_page_template', '_wp_attachment_image_alt'),
            true) ? get_post($id) : null;
        if ($post && self::public_status($post->post_status)) {
            self::content($post);
        }
    }

    /* Its number, or WooCommerce's object; a variation is shown with the product above it. */
    public static function product($product): void
    {
        $post = get_post(is_object($product) ? $product->get_id() : (int)$product);
        foreach (array($post, $post && $post->post_parent ? get_post($post->post_parent) : null) as $one) {
            if ($one && self::public_status($one->post_status)) {
                self::content($one);
            }
        }
    }

    private static function commented($comment): void
    {
        self::stale(array("post-{$comment->comment_post_ID}", 'any-post', 'comments', 'rest'));
    }

    /* One that visitors see. */
    public static function comment($id): void
    {
        $comment = get_comment($id);
        if ($comment && $comment->comment_approved === '1') {
            self::commented($comment);
        }
    }

    public static function comment_status($new, $old, $comment): void
    {
        if ($new === 'approved' || $old === 'approved') {
            self::commented($comment);
        }
    }

    public static function term_created($id, $number, $taxonomy): void
    {
        if (is_taxonomy_viewable($taxonomy)) {
            self::stale(array('terms', '404', 'sitemap', 'rest'));
        }
    }

    /* Every post in it shows its name. Before, and after: it may have moved below another one. */
    public static function term_edited($id, $taxonomy): void
    {
        if (!is_taxonomy_viewable($taxonomy)) {
            return;
        }
        self::stale(array('terms', '404', 'sitemap', 'rest', 'any-post'));
        self::stale_terms(array($id), $taxonomy);
        $posts = get_objects_in_term($id, $taxonomy);
        self::stale_posts(is_array($posts) ? $posts : array());
    }

    public static function term_edited_too($id, $number, $taxonomy): void
    {
        self::term_edited($id, $taxonomy);
    }

    public static function term_deleted($id, $number, $taxonomy, $term, $posts): void
    {
        if (is_taxonomy_viewable($taxonomy)) {
            self::stale(array("term-$id", 'terms', 'sitemap', 'rest', 'any-post'));
            self::stale_posts($posts);
        }
    }

    private static function stale_posts(array $ids): void
    {
        if (count($ids) > self::PURGE_MAX) {
            self::everything();
            return;
        }
        foreach ($ids as $id) {
            self::stale("post-$id");
        }
    }

    /* His name stands at his posts, and those go to somebody else when he is deleted. */
    public static function user($id, $heir = null): void
    {
        self::stale(array("author-$id", "by-$id", 'any-post', 'rest'));
        if (is_numeric($heir)) {
            self::stale(array("author-$heir", "by-$heir"));
        }
    }

    public static function option($name): void
    {
        if ($name === 'sticky_posts') {
            self::stale(array('home', 'list-post'));
        } elseif (in_array($name, self::OPTIONS, true) || strpos($name, 'widget_') === 0 ||
            strpos($name, 'theme_mods_') === 0) {
            self::everything();
        }
    }

    // ------------------------------------------------------------------------------------ purging

    public static function redirected($location)
    {
        self::ended();
        return $location;
    }

    public static function answered($result, $server, $request)
    {
        $handler = $request->get_attributes();
        $callback = isset($handler['callback']) ? $handler['callback'] : null;
        $known = preg_match(self::REST_ROUTES, $request->get_route());
        foreach (self::REST_CONTROLLERS as $controller) {
            $known = $known || (is_array($callback) && $callback[0] instanceof $controller);
        }
        self::purge();
        self::say($known);
        return $result;
    }

    public static function ended(): void
    {
        global $pagenow;
        self::purge();
        // A plugin's page may stand below one of WordPress' own.
        self::say(is_admin() && !isset($_GET['page']) && in_array($pagenow, self::ADMIN_PAGES, true));
    }

    /* That Larder need not drop anything for this request, if we know all that it has changed and all
     * of that is purged. */
    private static function say(bool $known): void
    {
        if (headers_sent()) {
            return;
        }
        if (self::$failed || !self::configured() || get_option(self::FAILED)) {
            header_remove('Larder-Purge');
        } elseif ($known && !in_array($_SERVER['REQUEST_METHOD'], array('GET', 'HEAD'), true)) {
            header('Larder-Purge: done');
        }
    }

    /* What has been collected. */
    public static function purge(): void
    {
        $tags = array_map('strval', array_keys(self::$stale));
        $sites = array_keys(self::$sites);
        self::$stale = self::$sites = array();
        if (!$tags || !self::configured()) {
            return;
        }
        // What an earlier purge has not done is not known any more.
        if (count($tags) > self::PURGE_MAX || array_intersect($sites, $tags) || get_option(self::FAILED)) {
            $tags = $sites;
        }
        $tags[] = self::$names !== '' ? self::WHOLE : self::UNTAGGED;
        $failure = self::order($tags);
        if ($failure === '') {
            if (self::$names !== '') {
                update_option(self::NAMES, self::$names);
                self::$names = '';
            }
            if (get_option(self::FAILED)) {
                delete_option(self::FAILED);
            }
            return;
        }
        self::$failed = true;
        error_log("larder: $failure; stale pages may be shown until a purge succeeds");
        update_option(self::FAILED, array('time' => time(), 'why' => $failure));
    }

    /* Is what there may be in the cache tagged as it is today? */
    public static function names(): void
    {
        if (!self::configured() || wp_installing() || self::failed_lately()) {
            return;
        }
        $names = md5(implode(' ', array(self::NAMES_VERSION, self::tag(''), home_url(),
            LARDER_PURGE_URL)));
        if (get_option(self::NAMES) !== $names) {
            self::$names = $names;
            self::everything();
        }
    }

    private static function configured(): bool
    {
        return defined('LARDER_PURGE_URL') && defined('LARDER_PURGE_TOKEN');
    }

    /* '', or what went wrong. Nothing that happens here may break what the user is doing. */
    private static function order(array $tags): string
    {
        try {
            list($status, $body) = self::post(wp_json_encode(array('tags' => array_values($tags))));
        } catch (Throwable $e) {
            return 'purge at ' . LARDER_PURGE_URL . ': ' . $e->getMessage();
        }
        $said = json_decode($body, true);
        if ($status === 200 && is_array($said) && !empty($said['ok'])) {
            return '';
        }
        return 'purge at ' . LARDER_PURGE_URL . ": status $status: " .
            (isset($said['error']) && is_string($said['error']) ? $said['error']
                : 'not an answer of Larder\'s');
    }

    /*
     * Over a plain socket: WP_HTTP_BLOCK_EXTERNAL is not about this, nor are proxies and what plugins
     * do to requests, and the time is bounded for all of it. HTTP/1.0, because its answers end with
     * the connection and are never chunked.
     */
    private static function post(string $body): array
    {
        $parts = parse_url(LARDER_PURGE_URL);
        $scheme = isset($parts['scheme']) ? strtolower($parts['scheme']) : '';
        if (empty($parts['host']) || ($scheme !== 'http' && $scheme !== 'https')) {
            throw new RuntimeException('expected http://HOST/PATH or https://HOST/PATH');
        }
        if (preg_match('/[^\x20-\x7e]/', LARDER_PURGE_TOKEN) ||
            preg_match('/[^\x21-\x7e]/', LARDER_PURGE_URL)) {
            throw new RuntimeException('control characters in the address or the token');
        }
        $port = isset($parts['port']) ? $parts['port'] : ($scheme === 'https' ? 443 : 80);
        $target = (isset($parts['path']) ? $parts['path'] : '/') .
            (isset($parts['query']) ? "?{$parts['query']}" : '');
        $timeout = defined('LARDER_PURGE_TIMEOUT') ? max(0.1, (float)LARDER_PURGE_TIMEOUT) : self::TIMEOUT_S;
        $deadline = microtime(true) + $timeout;
        // What is wrong with a certificate PHP says in the first of several warnings, and nowhere else.
        $warning = '';
        set_error_handler(function ($level, $text) use (&$warning) {
            $warning = $warning !== '' ? $warning : preg_replace('/\s+/', ' ', $text);
            return true;
        });
        $stream = stream_socket_client(($scheme === 'https' ? 'tls' : 'tcp') .
            "://{$parts['host']}:$port", $number, $error, $timeout, STREAM_CLIENT_CONNECT,
            stream_context_create(array('ssl' => array('peer_name' => $parts['host']))));
        restore_error_handler();
        if (!$stream) {
            throw new RuntimeException($error !== '' ? $error : $warning);
        }
        stream_set_blocking($stream, false);
        $out = "POST $target HTTP/1.0\r\nHost: {$parts['host']}" .
            (isset($parts['port']) ? ":$port" : '') . "\r\nX-Larder-Token: " . LARDER_PURGE_TOKEN .
            "\r\nContent-Type: application/json\r\nContent-Length: " . strlen($body) .
            "\r\nConnection: close\r\n\r\n$body";
        try {
            $in = self::exchange($stream, $out, $deadline, $timeout);
        } finally {
            fclose($stream);
        }
        $end = strpos($in, "\r\n\r\n");
        if ($end === false || !preg_match('#^HTTP/1\.[01] (\d{3})\b#', $in, $found)) {
            throw new RuntimeException('the connection was closed without an answer');
        }
        return array((int)$found[1], substr($in, $end + 4));
    }

    private static function exchange($stream, string $out, float $deadline, float $timeout): string
    {
        $in = '';
        while (!feof($stream)) {
            $left = $deadline - microtime(true);
            $read = array($stream);
            $write = $out === '' ? array() : array($stream);
            $none = array();
            if ($left <= 0 || !stream_select($read, $write, $none, (int)$left,
                (int)(fmod($left, 1.0) * 1e6))) {
                throw new RuntimeException("no answer within $timeout s");
            }
            if ($write) {
                $sent = @fwrite($stream, $out);
                if ($sent === false) {
                    throw new RuntimeException('the connection broke off');
                }
                $out = (string)substr($out, $sent);
            }
            // To the end of what is there: what TLS has decrypted already, select does not see.
            while (($some = @fread($stream, 8192)) !== false && $some !== '') {
                $in .= $some;
                if (strlen($in) > self::ANSWER_MAX) {
                    throw new RuntimeException('more of an answer than Larder gives');
                }
            }
        }
        return $in;
    }

    // ------------------------------------------------------------------------- who manages the site

    public static function admin_bar($bar): void
    {
        if (current_user_can('manage_options') && self::configured()) {
            $bar->add_node(array('id' => 'larder-empty', 'title' => 'Empty the cache',
                'href' => wp_nonce_url(admin_url('admin-post.php?action=larder_empty'), 'larder_empty')));
        }
    }

    public static function empty_cache(): void
    {
        if (!current_user_can('manage_options')) {
            wp_die('You may not do that.', '', array('response' => 403));
        }
        check_admin_referer('larder_empty');
        self::everything();
        self::purge();
        $back = remove_query_arg('larder', wp_get_referer() ?: admin_url());
        wp_safe_redirect(get_option(self::FAILED) ? $back : add_query_arg('larder', 'emptied', $back));
        exit;
    }

    private static function failed_lately(): bool
    {
        $failed = get_option(self::FAILED);
        return $failed && time() - $failed['time'] < self::RETRY_S;
    }

    /* What has failed. One request at a time, or all of them would wait while Larder does not answer. */
    public static function again(): void
    {
        $failed = get_option(self::FAILED);
        if ($failed && self::configured() && !self::failed_lately()) {
            update_option(self::FAILED, array('time' => time()) + $failed);
            self::everything();
        }
    }

    public static function notices(): void
    {
        $manager = current_user_can('manage_options');
        $failed = get_option(self::FAILED);
        if (!$manager && !current_user_can('edit_posts')) {
            return;
        }
        if ($manager && !self::configured()) {
            self::notice('warning', 'Larder is not told of changes: wp-config.php has to define ' .
                'LARDER_PURGE_URL and LARDER_PURGE_TOKEN.');
        } elseif ($failed) {
            self::notice('error', 'Larder could not be told of a change, and visitors may see old pages' .
                ($manager ? " ({$failed['why']})" : '') . '. It is tried again with the next page.');
        } elseif ($manager && isset($_GET['larder']) && $_GET['larder'] === 'emptied') {
            self::notice('success', 'The cache of this site is empty.');
        }
    }

    private static function notice(string $kind, string $text): void
    {
        echo '<div class="notice notice-', $kind, '"><p>', esc_html($text), '</p></div>';
    }
}

Larder_Plugin::start();
