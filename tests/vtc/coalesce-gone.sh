# Whose client hangs up while another process waits for him leaves it to one of those, not to all.
# needs: nginx redis-server redis-cli spawn-fcgi curl
. case
. crowd
. two-pools

# nginx tells us at once that its client has gone.
redis start
backend start
conf routes='{ path = "/**"; ttl = "1m"; }'
SOCKET=$DIR/a.sock pool start -n 1
SOCKET=$DIR/b.sock pool start -n 1
SOCKET=$DIR/a.sock front nginx "$PORT1"
SOCKET=$DIR/b.sock front nginx "$PORT2"

page='/gone?gate=gone&size=400000'
crowd first 1 "$page"
backend saw GET "$page" 1
crowd there 5 "$other$page"
await waiting 5
kill "$(cat "$DIR/first.pids")"
wait "$(cat "$DIR/first.pids")" || true
# Nobody but nginx knows when it has closed its connection to us.
sleep 0.5
backend open gone
gathered there
backend only GET "$page" 2
is "hits" "$(said there '^x-cache: hit')" 4
