# A purge, or a mutation, in one spelling of a URL reaches what is stored under all the others; and no
# other URL: apache-proxy-fcgi.
# needs: apache2 mod_proxy_fcgi spawn-fcgi redis-server redis-cli curl
MOUNT=apache-proxy-fcgi
. url-spellings
