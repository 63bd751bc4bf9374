# Debian's MediaWiki behind nginx.
# needs: nginx spawn-fcgi redis-server redis-cli curl php-fpm php-cli mariadbd mediawiki
# time: 240
MOUNT=nginx-php
cat > "$DIR/front.extra" << 'END'
location /mediawiki/ {
    alias /var/lib/mediawiki/;
    index index.php;
    include larder/larder-php-scripts.conf;
}
END
. mediawiki-mount
