# Apache with mod_proxy_fcgi in front of a pool by spawn-fcgi.
# needs: apache2 mod_proxy_fcgi spawn-fcgi redis-server redis-cli curl
# time: 240
MOUNT=apache-proxy-fcgi
. mount
