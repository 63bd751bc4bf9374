# Any site in PHP behind nginx: scripts run wherever they lie, below the root or below an alias, with
# what follows them in the path; what is no script is no script; nothing of PHP's is sent as text.
# needs: nginx spawn-fcgi redis-server redis-cli curl php-fpm
. case
. php-names

write() {
    mkdir -p "$(dirname "$DIR/$1")"
    cat > "$DIR/$1" << 'END'
<?php
header('Content-Type: text/plain');
echo basename(__DIR__), '/', basename(__FILE__), ' ', $_SERVER['PATH_INFO'] ?? '-', ' ', $_SERVER['SCRIPT_NAME'];
END
}
for root in htdocs app; do
    for script in index config rest img_auth mw-config/index .well-known/x .git/x a.b/c up/x; do
        write "$root/$script.php"
    done
    names_in "$DIR/$root"
    for hidden in .env .git/config .htaccess; do
        write "$root/$hidden"
    done
    write "$root/up/line
feed.php"
    echo picture > "$DIR/$root/up/x.jpg"
    echo challenge > "$DIR/$root/.well-known/x"
    echo 'password = "of the database"' > "$DIR/$root/.user.ini"
done
write app/only.php

cat > "$DIR/front.extra" << END
client_max_body_size 0;
location /front/ {
    alias $DIR/app/;
    index index.php;
    client_max_body_size 0;
    include larder/larder-php-front.conf;
    try_files \$uri \$uri/ @larder_front;
}
location @larder_front {
    rewrite ^/front/ /front/index.php last;
    rewrite ^ /index.php last;
}
location ^~ /wiki/ { rewrite ^ /index.php last; }
location /app/ {
    alias $DIR/app/;
    client_max_body_size 0;
    location ~ "(?s)/up/.*\.php(?:/|\$)" { deny all; }
    include larder/larder-php-scripts.conf;
}
location ~ "(?s)/up/.*\\.php(?:/|\$)" { deny all; }
END

redis start
fpm start
conf url="$(fpm url)" admin='token = "0123456789abcdef";' routes='{ path = "/**"; ttl = "1h"; }'
pool start -n 2
SNIPPET=larder-php front nginx-php "$PORT1"

# answers STATUS TARGET [BODY]
answers() {
    get "$2" --path-as-is
    is "$2: status" "$(status)" "$1"
    grep -q '<?php' "$DIR/body" && fail "$2: the source was sent"
    [ $# -eq 2 ] || is "$2: body" "$(cat "$DIR/body")" "$3"
}

for place in '/ htdocs' '/app/ app'; do
    at=${place% *} name=${place#* }

    # Scripts, as the index of a directory and with a path behind their name too.
    answers 200 "$at" "$name/index.php - ${at}index.php"
    answers 200 "${at}config.php?a=b" "$name/config.php - ${at}config.php"
    answers 200 "${at}rest.php/v1/page/A%20B" "$name/rest.php /v1/page/A B ${at}rest.php"
    answers 200 "${at}img_auth.php/a/b.png" "$name/img_auth.php /a/b.png ${at}img_auth.php"
    answers 200 "${at}index.php/.NET/.hidden" "$name/index.php /.NET/.hidden ${at}index.php"
    answers 200 "${at}index.php/x.php/y" "$name/index.php /x.php/y ${at}index.php"
    answers 200 "${at}rest.php/config.php.bak" "$name/rest.php /config.php.bak ${at}rest.php"
    answers 200 "${at}mw-config/" "mw-config/index.php - ${at}mw-config/index.php"
    answers 200 "${at}mw-config/index.php/x" "mw-config/index.php /x ${at}mw-config/index.php"
    answers 301 "${at}mw-config"
    answers 200 "${at}a.b/c.php" "a.b/c.php - ${at}a.b/c.php"
    answers 200 "${at}.well-known/x.php" ".well-known/x.php - ${at}.well-known/x.php"
    await is_hit "${at}rest.php/v1/page/A%20B"

    # Files are nginx's; there is no front controller.
    answers 200 "${at}up/x.jpg" picture
    is "a file: X-Cache" "$(field X-Cache)" ''
    answers 200 "${at}.well-known/x" challenge
    for nothing in no/such/thing nothing.php nothing.php/x nothing.php5 x.jpg/y.php index.phpx acme.inc; do
        answers 404 "$at$nothing"
    done
    answers 301 "${at}dir.inc"

    # What an operator keeps from being run is not run by another way.
    for upload in up/x.php up/x.php/y up/./x.php up/%78.php up//x.php up/x%2ephp up/line%0afeed.php; do
        answers 403 "$at$upload"
    done
    for trick in up/x.jpg/.php up/x.jpg/y.php up/x.jpg%00.php up/x.php%00.jpg up/x.php%0a up/x.php%20 up/x.php.; do
        get "$at$trick"
        case $(status) in
        40[034]) ;;
        *) fail "$trick: status $(status)" ;;
        esac
        grep -q -e '<?php' -e "up/x.php " "$DIR/body" && fail "$trick: was run, or sent"
    done

    # What lies beside scripts is refused.
    names_are nginx "$at"
    for hidden in .user.ini .env .git/config .git/ .git .git/x.php .htaccess script%2ephp%2ebak; do
        answers 403 "$at$hidden"
    done
done
answers 404 /only.php

# An application below an alias with a front controller, as larder-php-scripts.conf says.
answers 200 /front/no/such/thing "app/index.php - /front/index.php"
answers 200 /front/ "app/index.php - /front/index.php"
answers 200 /front/rest.php/x "app/rest.php /x /front/rest.php"
answers 200 /front/up/x.jpg picture
answers 200 /front/.NET "app/index.php - /front/index.php"
answers 200 /front/up/.NET/x "app/index.php - /front/index.php"
for hidden in .env .git .git/ .git/config .git/x.php .user.ini; do
    answers 403 "/front/$hidden"
done
answers 403 /app/.NET
answers 200 /front/nothing.php "app/index.php - /front/index.php"
answers 200 /front/nothing.php/x "app/index.php - /front/index.php"
answers 200 /front/up/x.jpg/y.php "app/index.php - /front/index.php"
answers 301 /front/dir.inc
addresses_lead /front/ "app/index.php - /front/index.php"
names_are nginx /front/
addresses_lead /wiki/ "htdocs/index.php - /index.php"

# An upload to an address that names no script may be as large as PHP takes it.
head -c 2000000 /dev/zero > "$DIR/upload"
for target in / /mw-config/ /app/ /app/mw-config/ /front/ /front/no/such/thing /front/acme.inc /front/none.php \
    /rest.php; do
    get "$target" --data-binary "@$DIR/upload" -H 'Content-Type: image/png'
    is "an upload to $target: status" "$(status)" 200
done

# Purges depend on no script and no rewriting.
for way in '-d {"urls":["/config.php"]} /.larder/purge' '-X DELETE /.larder/purge?url=/config.php' \
    '-X PURGE /config.php'; do
    get /config.php
    await is_hit /config.php
    # shellcheck disable=SC2086
    get "${way##* }" ${way% *} -H 'X-Larder-Token: 0123456789abcdef'
    is "$way: status" "$(status)" 200
    get /config.php
    is "$way: X-Cache" "$(field X-Cache)" MISS
done
get /.larder/purge -d '{"urls":["/config.php"]}'
is "without a token: status" "$(status)" 401
