# Debian's MediaWiki behind Apache, by the alias that the package ships.
# needs: apache2 mod_proxy_fcgi spawn-fcgi redis-server redis-cli curl php-fpm php-cli mariadbd mediawiki
# time: 240
MOUNT=apache-proxy-fcgi-php
cat > "$DIR/front.extra" << 'END'
Include /etc/apache2/conf-available/mediawiki.conf
END
. mediawiki-mount
