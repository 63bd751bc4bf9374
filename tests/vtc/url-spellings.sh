# A purge, or a mutation, in one spelling of a URL reaches what is stored under all the others; and no
# other URL: lighttpd-spawn-fcgi.
# needs: lighttpd spawn-fcgi redis-server redis-cli curl
MOUNT=lighttpd-spawn-fcgi
. url-spellings
