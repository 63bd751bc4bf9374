# The rights that larder.conf(5) names are enough: nothing is refused.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case
redis start
backend start
redis cli ACL SETUSER larder on '>SECRET' '~larder:*' '&larder:*' +@read +@write +@connection +@scripting +@pubsub +info +time +wait
conf redis='user = "larder"; password = "SECRET";' routes='{ path = "/**"; resource = "r"; ttl = "1m"; invalidate = ["r:*"]; }'
pool start -n 2
front lighttpd-spawn-fcgi "$PORT1"
await is_hit /page
get /page -d ''
is "X-Cache-Invalidate" "$(field X-Cache-Invalidate)" done
await is_hit /page
test -z "$(redis cli acl log)"
