# Every way to start the pool: each serves, and ends when it is told to.
# needs: lighttpd nginx redis-server redis-cli spawn-fcgi multiwatch systemd-socket-activate curl
. case

redis start
backend start
conf routes='{ path = "/**"; ttl = "5m"; }'
front lighttpd-spawn-fcgi "$PORT1"
FCGI_ADDRESS=127.0.0.1:$PORT3 front nginx "$PORT2"

count=0
for method in fork nofork multiwatch activate unix tcp; do
    pool start -m "$method" -n 2
    if [ "$method" = tcp ]; then
        url=http://127.0.0.1:$PORT2
    fi
    count=$((count + 1))
    gets "/$method" MISS "GET /$method #1"
    redis stored "$count"
    gets "/$method" HIT "GET /$method #1"
    pool term
done
