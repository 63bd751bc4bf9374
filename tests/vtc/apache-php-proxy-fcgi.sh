# Sites in PHP behind Apache: mod_proxy_fcgi. No source is sent, whatever is asked for.
# needs: apache2 mod_proxy_fcgi spawn-fcgi redis-server redis-cli curl php-fpm
MOUNT=apache-proxy-fcgi-php
SNIPPET_FILE=larder-php-proxy-fcgi.conf
MODULES='alias env proxy proxy_fcgi'
. apache-php
