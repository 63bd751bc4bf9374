# A purge, or a mutation, in one spelling of a URL reaches what is stored under all the others; and no
# other URL: apache-mod-fcgid.
# needs: apache2 mod_fcgid redis-server redis-cli curl
MOUNT=apache-mod-fcgid
. url-spellings
