# The preset for WordPress with plain permalinks, where the REST interface is a parameter: what an
# editor saves shows at once without any plugin, and a stranger drops nothing.
# needs: lighttpd spawn-fcgi redis-server redis-cli curl php-fpm php-cli mariadbd wordpress
# time: 240
RULES=preset
. case
. blog
blog
rm "$DIR/htdocs/wp-content/mu-plugins/larder.php"
wordpress php - << 'END' > "$DIR/did"
global $wp_rewrite;
$wp_rewrite->set_permalink_structure('');
$wp_rewrite->flush_rules(false);
END
id=$(wordpress id post-3)
pages="/ /?p=$id /?page_id=$(wordpress id about) /?feed=rss2 /?s=cool"
login editor the-editors-own

# shellcheck disable=SC2086
fill $pages
# As the block editor writes its addresses, and as other clients do.
n=0
for address in "/index.php?rest_route=%2Fwp%2Fv2%2Fposts%2F$id&_locale=user" \
    "/?rest_route=/wp/v2/posts/$id" "/?rest.route=/wp/v2/posts/$id" "/?+rest_route=/wp/v2/posts/$id" \
    "/?%72est_route=/wp/v2/posts/$id" "/?a=b&rest%5Froute=/wp/v2/posts/$id"; do
    n=$((n + 1))
    rest editor POST "$address" -d "title=By+REST+$n"
    is "$address: status" "$(status)" 200
    from MISS "/?p=$id"
    has "By REST $n"
    await is_hit "/?p=$id"
    from MISS /
    # shellcheck disable=SC2086
    fill $pages
done
# Another method, as the editor says it.
rest editor POST "/index.php?rest_route=%2Fwp%2Fv2%2Fposts%2F$id&_locale=user" \
    -H 'X-HTTP-Method-Override: PUT' -H 'Content-Type: application/json' -d '{"title": "By another"}'
is "PUT: status" "$(status)" 200
from MISS "/?p=$id"
has 'By another'
# shellcheck disable=SC2086
fill $pages
# The name that pages show.
rest editor POST '/index.php?rest_route=%2Fwp%2Fv2%2Fusers%2Fme&_locale=user' -d 'name=Another'
is "users/me: status" "$(status)" 200
# shellcheck disable=SC2086
stale $pages

# What an open editor sends all the time is no change.
rest editor POST "/index.php?rest_route=%2Fwp%2Fv2%2Fposts%2F$id%2Fautosaves&_locale=user" -d 'title=x'
is "an autosave: status" "$(status)" 200
# shellcheck disable=SC2086
kept $pages
# Nor is what anybody may send.
for address in "/?rest_route=/wp/v2/posts/$id" '/?rest_route=/wp/v2/posts' '/?rest_route=/wp/v2/posts&_method=GET' \
    '/index.php?rest_route=%2Fwp%2Fv2%2Fposts&_method=OPTIONS' '/?rest_route=/batch/v1' \
    '/?rest_route=/wp/v2/users/me' '/?rest_route=/wp/v2/nothing' '/?rest_route=/wp/v2/comments' '/?rest_route=/' '/?rest.route=/wp/v2/posts&_method=GET'; do
    for cookie in a=b 'wordpress_logged_in_0123456789abcdef0123456789abcdef=editor%7C9999999999%7Cx%7Cy'; do
        get "$address" -d 'title=x' -b "$cookie"
        get "$address" -d 'title=x' -b "$cookie" -H 'X-HTTP-Method-Override: GET'
    done
done
# shellcheck disable=SC2086
kept $pages
# Reading is not kept, and is not of the page's route.
get '/?rest_route=/wp/v2/posts'
is "reading: X-Cache" "$(field X-Cache)" BYPASS

content
