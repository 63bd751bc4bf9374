# Debian's MediaWiki behind lighttpd.
# needs: lighttpd spawn-fcgi redis-server redis-cli curl php-fpm php-cli mariadbd mediawiki
# time: 240
MOUNT=lighttpd-php
cat > "$DIR/front.extra" << 'END'
server.modules += ( "mod_alias" )
alias.url = ( "/mediawiki" => "/var/lib/mediawiki" )
END
. mediawiki-mount
