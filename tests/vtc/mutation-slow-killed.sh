# A mutation whose body takes longer to arrive than a mark lives, and whose process is killed then: it is
# marked for as long as the backend may still be at it.
# needs: apache2 mod_proxy_fcgi redis-server redis-cli spawn-fcgi curl python3
. case

# A mark lives for 2 + 2 * (1 + 4 * 0.2) s.
site -m apache-proxy-fcgi upstream='timeout = "1s"; connect_timeout = "200ms";' \
    cache='mutation_max = "2s";' routes='{ path = "/**"; ttl = "5m"; tags = ["shop"]; }'
await is_hit /page

python3 -c '
import socket, sys, time
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"POST /page HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n")
for i in range(60):
    try:
        s.sendall(b"x")
    except OSError:
        break
    time.sleep(0.25)
' "$PORT1" &
visitor=$!
marked() {
    case $(redis cli get larder:gen:tag:shop) in
    M*) ;;
    *) return 1 ;;
    esac
}
await marked
sleep 7
kill -9 $(pool pids)
kill "$visitor"
marked || fail "after 7 s of body the tag is '$(redis cli get larder:gen:tag:shop)', not marked"
left=$(redis cli pttl larder:gen:tag:shop)
test "$left" -gt 3500 && test "$left" -le 6000 || fail "it is marked for another $left ms"
pool start -n 1
await is_hit /page
