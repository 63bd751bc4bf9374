# What WordPress writes into .htaccess makes Apache send HTTP_AUTHORIZATION for every visitor, empty
# for those who have none: they share pages all the same, and nobody else's credentials are lost.
# needs: apache2 mod_proxy_fcgi mod_fcgid spawn-fcgi redis-server redis-cli curl php-fpm
. case

mkdir -p "$DIR/htdocs"
cat > "$DIR/htdocs/index.php" << 'END'
<?php
$user = '-';
foreach (['HTTP_AUTHORIZATION', 'REDIRECT_HTTP_AUTHORIZATION', 'Authorization'] as $name) {
    if (!empty($_SERVER[$name])) {
        $user = $_SERVER[$name];
    }
}
echo 'for ', $user;
END
cat > "$DIR/htdocs/.htaccess" << 'END'

# BEGIN WordPress
# The directives (lines) between "BEGIN WordPress" and "END WordPress" are
# dynamically generated, and should only be modified via WordPress filters.
# Any changes to the directives between these markers will be overwritten.
<IfModule mod_rewrite.c>
RewriteEngine On
RewriteRule .* - [E=HTTP_AUTHORIZATION:%{HTTP:Authorization}]
RewriteBase /
RewriteRule ^index\.php$ - [L]
RewriteCond %{REQUEST_FILENAME} !-f
RewriteCond %{REQUEST_FILENAME} !-d
RewriteRule . /index.php [L]
</IfModule>

# END WordPress
END
cat > "$DIR/front.extra" << END
<Directory "$DIR">
    AllowOverride All
    Options FollowSymLinks
    Require all granted
</Directory>
END

redis start
fpm start
conf url="$(fpm url)" responder='workers = 1;' routes='{ path = "/**"; ttl = "10m"; }'
for mount in apache-mod-fcgid-php apache-proxy-fcgi-php; do
    case $mount in
    apache-proxy-fcgi-php) pool start -n 1 ;;
    esac
    SNIPPET=larder-php front "$mount" "$PORT1"
    for page in "/$mount/" "/index.php?$mount"; do
        gets "$page" MISS 'for -'
        await is_hit "$url$page"
        gets "$page" HIT 'for -'
        gets "$page" BYPASS 'for Basic YTpi' -u a:b
        gets "$page" HIT 'for -'
    done
    kill "$(cat "$DIR/run/$mount-$PORT1.pid")"
    await sh -c "! listening $PORT1"
    # mod_fcgid's processes are another user's, whose files the pool's must not find.
    await sh -c "! pgrep -f '^$DIR/bin/program '"
    rm -rf "$DIR/run/counters" "$DIR/run/limits" "$DIR"/run/journal* "$DIR/log/larder"
done
