# Purges in the words of other caches, behind Apache's mod_proxy_fcgi.
# needs: apache2 mod_proxy mod_proxy_fcgi spawn-fcgi redis-server redis-cli curl
MOUNT=apache-proxy-fcgi
. foreign
