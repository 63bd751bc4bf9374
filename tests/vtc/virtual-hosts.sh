# Two virtual hosts in front of one pool, behind each web server: each has its own pages and its own
# denials, whatever host a request line names besides.
# needs: lighttpd apache2 mod_proxy_fcgi mod_fcgid mod_http2 nginx nghttp python3 redis-server redis-cli spawn-fcgi curl
# time: 240
. case
. virtual-hosts

redis start
backend start
conf responder='workers = 1; max_fetchers = 4;' routes='{ path = "/**"; ttl = "10m"; }'
# First, because its processes are another user's, which could not write to the pool's log.
virtual_hosts apache-mod-fcgid 'page?echo=1'
# Nor could the pool write to theirs where fs.protected_regular is set, as systemd does.
mv "$DIR/log/larder" "$DIR/log/larder-fcgid"
pool start -n 1
for each in lighttpd-spawn-fcgi lighttpd-bin-path apache-proxy-fcgi nginx; do
    virtual_hosts "$each" 'page?echo=1'
done
