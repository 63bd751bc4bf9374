# A purge, or a mutation, in one spelling of a URL reaches what is stored under all the others; and no
# other URL: nginx.
# needs: nginx spawn-fcgi redis-server redis-cli curl
MOUNT=nginx
. url-spellings
