# One fetch behind Apache too, with each of its modules. Under mod_fcgid a process has one request, so
# that all waiting is between processes.
# needs: apache2 mod_proxy_fcgi mod_fcgid redis-server redis-cli spawn-fcgi curl
. case
. crowd

redis start
backend start
conf routes='{ path = "/**"; ttl = "1m"; }'
pool start -n 2
front apache-proxy-fcgi "$PORT1"
page='/proxy?gate=proxy'
crowd proxy 12 "$page"
await waiting 11
backend open proxy
gathered proxy
all proxy "GET $page #1"
backend only GET "$page" 1
pool term

# Apache's user opens the log now.
rm "$DIR/log/larder"
front apache-mod-fcgid "$PORT2"
page='/fcgid?gate=fcgid'
crowd fcgid 5 "http://127.0.0.1:$PORT2$page"
await waiting 4
backend open fcgid
gathered fcgid
all fcgid "GET $page #1"
backend only GET "$page" 1
