# Apache with mod_fcgid, which starts the responders itself.
# needs: apache2 mod_fcgid redis-server redis-cli curl
# time: 240
MOUNT=apache-mod-fcgid
RESPONDER='workers = 1; max_fetchers = 1;'
. mount
