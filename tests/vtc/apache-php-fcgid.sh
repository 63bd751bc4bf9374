# Sites in PHP behind Apache: mod_fcgid. No source is sent, whatever is asked for.
# needs: apache2 mod_fcgid mod_proxy_fcgi redis-server redis-cli curl php-fpm
MOUNT=apache-mod-fcgid-php
RESPONDER='workers = 1; max_fetchers = 1;'
SNIPPET_FILE=larder-php-fcgid.conf
MODULES='alias fcgid'
GUARD_MODULES='proxy proxy_fcgi'
. apache-php
