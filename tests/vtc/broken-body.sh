# A backend that breaks off breaks the client's answer too, and nothing of it is stored.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site routes='{ path = "/**"; ttl = "1m"; }'

for page in '/cut?size=100000&cut=50000' '/cut?size=100000&cut=50000&framing=chunked' \
    '/cut?size=100000&cut=0&framing=chunked' '/cut?size=3000000&cut=2000000'; do
    for _ in 1 2; do
        if curl -sS --max-time 20 -o "$DIR/body" "$url$page"; then
            fail "$page: looked whole to the client"
        else
            # 28 would be curl's own patience: the client was left hanging.
            test $? -ne 28 || fail "$page: the client was left waiting"
        fi
    done
    backend only GET "$page" 2
done
# The queue is in order: if this is there, nothing else is still to come.
gets /sentinel MISS 'GET /sentinel #1'
redis stored 1

# The pool is as well as before.
gets /sentinel HIT 'GET /sentinel #1'
