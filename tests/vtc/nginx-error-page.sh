# What nginx shows for an error of its own comes with the URL of what it has refused: neither is the
# stored page shown to who may not see it, nor the error stored in its place. A front controller that
# is reached by error_page is one only with "=".
# needs: nginx spawn-fcgi redis-server redis-cli curl php-fpm
. case

mkdir -p "$DIR/htdocs/members" "$DIR/htdocs/busy" "$DIR/htdocs/missing"
echo '<?php http_response_code(404); header("Cache-Control: no-store");' > "$DIR/htdocs/missing/page.php"
for page in members/index members/page busy/page; do
    # shellcheck disable=SC2016
    echo '<?php echo "for members, ", $_SERVER["REQUEST_URI"];' > "$DIR/htdocs/$page.php"
done
# shellcheck disable=SC2016
echo '<?php echo "error, ", $_SERVER["REDIRECT_STATUS"];' > "$DIR/htdocs/error.php"
# shellcheck disable=SC2016
echo '<?php echo "front, ", $_SERVER["REQUEST_URI"], " ", $_SERVER["REDIRECT_STATUS"];' > "$DIR/htdocs/front.php"
cat > "$DIR/front.extra" << 'END'
error_page 403 503 /error.php;
location ^~ /members/ {
    allow 127.0.0.9;
    deny all;
    include larder/larder-php-scripts.conf;
}
location ^~ /named/ {
    error_page 403 @error;
    return 403;
}
location @error {
    rewrite ^ /error.php last;
}
location ^~ /missing/ {
    fastcgi_intercept_errors on;
    error_page 404 /error.php;
    include larder/larder-php-scripts.conf;
}
location ^~ /busy/ {
    limit_req zone=busy;
    limit_req_status 503;
    include larder/larder-php-scripts.conf;
}
location ^~ /front/ {
    error_page 404 = /front.php;
    log_not_found off;
}
location ^~ /front200/ {
    error_page 404 =200 /front.php;
}
location ^~ /front404/ {
    error_page 404 /front.php;
}
location ^~ /tried/ {
    try_files $uri $uri/ /front.php$is_args$args;
}
END
redis start
fpm start
conf url="$(fpm url)" routes='{ path = "/**"; ttl = "1h"; cache = "rfc"; }'
pool start -n 1
HTTP='limit_req_zone $host zone=busy:1m rate=1r/m;' SNIPPET=larder-php front nginx-php "$PORT1"

# refused STATUS TARGET
refused() {
    get "$2"
    is "$2: status" "$(status)" "$1"
    is "$2: body" "$(cat "$DIR/body")" "error, $1"
    is "$2: X-Cache" "$(field X-Cache)" BYPASS
}
for target in /members/page.php?1 /members/?1 /named/page.php?1; do
    # Nothing is stored: the error is not.
    refused 403 "$target"
    refused 403 "$target"
done
stored=0
for target in /members/page.php?1 '/members/?1'; do
    gets "$target" MISS "for members, $target" --interface 127.0.0.9
    await redis stored $((stored += 1))
    # The page is: the error is shown all the same.
    refused 403 "$target"
    gets "$target" HIT "for members, $target" --interface 127.0.0.9
done
gets /busy/page.php MISS "for members, /busy/page.php"
refused 503 /busy/page.php
refused 503 /busy/page.php

# The error is the script's, and nginx replaces the answer of Larder.
refused 404 /missing/page.php
refused 404 /missing/page.php

# A front controller's pages are pages; without "=" nginx says 404 of each, and none is stored.
for place in front front200 tried; do
    gets "/$place/a?x=1" MISS "front, /$place/a?x=1 200"
    await is_hit "/$place/a?x=1"
done
get /front404/a
is "status" "$(status)" 404
is "body" "$(cat "$DIR/body")" "front, /front404/a 404"
is "X-Cache" "$(field X-Cache)" BYPASS
