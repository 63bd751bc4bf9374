# Uploads that are cut behind Apache with mod_proxy_fcgi, in front of a backend that speaks HTTP.
# needs: apache2 mod_proxy_fcgi spawn-fcgi redis-server redis-cli curl python3
MOUNT=apache-proxy-fcgi
. cut-upload
