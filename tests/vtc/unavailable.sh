# While the pool does not start, visitors are told so at once and not kept waiting, on each web server;
# and as soon as larder.conf is right the socket is free for the pool.
# needs: lighttpd nginx apache2 mod_proxy_fcgi redis-server redis-cli curl python3
. case

# The part of systemd: it holds the socket, and runs on it what its unit says.
cat > "$DIR/hold" << 'PY'
import os, socket, subprocess, sys
held = socket.socket(socket.AF_UNIX)
held.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777)
held.listen(1024)
for command in sys.stdin:
    print(subprocess.run(command, shell=True, stdin=held).returncode, flush=True)
PY
unavailable="$LARDER_FCGI --unavailable -f $DIR/larder.conf"
redis start
backend start
conf routes='{ path = "/**"; ttl = "10m"; }'
mv "$DIR/larder.conf" "$DIR/right.conf"
echo 'redis = { port = 70000; };' > "$DIR/larder.conf"
mkfifo "$DIR/orders"
setsid python3 "$DIR/hold" "$DIR/larder.sock" < "$DIR/orders" > "$DIR/ended" 2> "$DIR/log/hold" &
exec 9> "$DIR/orders"
await test -S "$DIR/larder.sock"
front lighttpd-spawn-fcgi "$PORT1"
front nginx "$PORT2"
front apache-proxy-fcgi "$PORT3"

# A start that has failed, and what visitors get until the next.
ended() {
    test "$(wc -l < "$DIR/ended")" -eq "$1"
}
echo "$LARDER_FCGI -f $DIR/larder.conf" >&9
await ended 1
is "a start with a wrong larder.conf" "$(cat "$DIR/ended")" 1
n=1
for port in "$PORT1" "$PORT2" "$PORT3"; do
    url=http://127.0.0.1:$port
    echo "$unavailable" >&9
    for _ in 1 2; do
        get /page
        is "port $port: status" "$(status)" 503
        is "port $port: Retry-After" "$(field Retry-After)" 5
        is "port $port: Cache-Control" "$(field Cache-Control)" no-store
    done
    get /form -d a=b
    is "port $port: a form: status" "$(status)" 503
    # It ends by itself, for the next start.
    n=$((n + 1))
    await ended $n
    is "ends with" "$(tail -n 1 "$DIR/ended")" 0
done

# nginx uses no connection again on which something follows the end of an answer: where it would keep one,
# something does. mod_proxy_fcgi would take that for its next answer.
cat > "$DIR/keeps" << 'PY'
import socket, struct, sys
path, software, keeps, piece = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])


def record(kind, content, padding=0):
    return struct.pack("!BBHHBB", 1, kind, 1, len(content), padding, 0) + content + b"S" * padding


parameters = {"REQUEST_URI": "/", "QUERY_STRING": "SERVER_SOFTWARE=nginx", "SERVER_SOFTWARE": software,
              "REQUEST_METHOD": "GET"}
pairs = b"".join(bytes((len(n), len(v))) + (n + v).encode() for n, v in parameters.items())
middle = pairs.index(b"SOFTWARE", 50)
sent = record(1, struct.pack("!HB", 1, keeps) + bytes(5)) + record(4, pairs[:middle], 5) + \
    record(4, pairs[middle:]) + record(4, b"") + record(5, b"")
connection = socket.socket(socket.AF_UNIX)
connection.settimeout(10)
connection.connect(path)
for at in range(0, len(sent), piece):
    connection.sendall(sent[at:at + piece])
got = b""
while more := connection.recv(65536):
    got += more
kinds = []
while got:
    kinds.append(got[1])
    got = got[8 + sum(struct.unpack("!HB", got[4:7])):]
print(*kinds)
PY
n=$((n + 1))
echo "$unavailable" >&9
for says in 'nginx/1.22.1 1 6 6 3 11' 'nginx/1.22.1 0 6 6 3' 'Apache/2.4 1 6 6 3' 'lighttpd/1.4.69 0 6 6 3'; do
    for piece in 1 7 1000; do
        # shellcheck disable=SC2086
        set -- $says
        is "$1, $2, in pieces of $piece" "$(python3 "$DIR/keeps" "$DIR/larder.sock" "$1" "$2" "$piece")" \
            "${says#* ? }"
    done
done
await ended $n

# A connection that ends without a request, and one that says nothing, do not hold the socket.
for does in 'c.close()' 'import time; time.sleep(15)'; do
    n=$((n + 1))
    echo "$unavailable" >&9
    python3 -c "import socket; c = socket.socket(socket.AF_UNIX); c.connect('$DIR/larder.sock'); $does" &
    client=$!
    await -t 10 ended $n
    is "$does: ends with" "$(tail -n 1 "$DIR/ended")" 0
    kill "$client" 2> /dev/null || :
done

# Nor do others wait for clients that say nothing.
n=$((n + 1))
echo "$unavailable" >&9
python3 -c "
import socket, time
for _ in range(20):
    c = socket.socket(socket.AF_UNIX); c.connect('$DIR/larder.sock'); globals()['c%d' % _] = c
print('there', flush=True); time.sleep(15)" > "$DIR/silent" &
client=$!
await test -s "$DIR/silent"
begun=$(date +%s)
for port in "$PORT1" "$PORT2" "$PORT3"; do
    url=http://127.0.0.1:$port
    get /page
    is "port $port, beside silent clients: status" "$(status)" 503
done
[ $(($(date +%s) - begun)) -le 2 ] || fail "one waits for clients that say nothing"
await -t 10 ended $n
kill "$client" 2> /dev/null || :

# Or once the file is right: this one is the pool's.
echo "$unavailable" >&9
get /page
is "status" "$(status)" 503
before=$(date +%s)
mv "$DIR/right.conf" "$DIR/larder.conf"
await ended $((n + 1))
[ $(($(date +%s) - before)) -lt 4 ] || fail "it went on after larder.conf was right"
echo "exec 8<&0; $LARDER_FCGI -f $DIR/larder.conf <&8 &" >&9
for port in "$PORT1" "$PORT2" "$PORT3"; do
    url=http://127.0.0.1:$port
    get /page
    is "port $port: status" "$(status)" 200
done
exec 9>&-
