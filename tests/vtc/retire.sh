# A process that is to end loses no request that comes at once on a connection that it has just answered
# on, since it says that it closes it; and for as long as it waits for idle ones it takes new ones.
# needs: redis-server redis-cli python3
. case

cat > "$DIR/client" << 'PY'
import os, signal, socket, struct, sys, time
path, pid = sys.argv[1], int(sys.argv[2])


def record(kind, content):
    return struct.pack("!BBHHBB", 1, kind, 1, len(content), 0, 0) + content


def pair(name, value):
    return struct.pack("!BI", len(name), len(value) | 1 << 31) + (name + value).encode()


def connect():
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    connection.connect(path)
    return connection


def ask(connection, target):
    """One request, as nginx has it; the answer, and whether the connection can be used again: something
    that follows the end of the answer says that it cannot."""
    parameters = {"REQUEST_METHOD": "POST", "REQUEST_URI": target, "SCRIPT_NAME": target,
                  "QUERY_STRING": "", "SERVER_NAME": "h", "SERVER_PORT": "80", "CONTENT_LENGTH": "3",
                  "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "h", "REMOTE_ADDR": "127.0.0.1",
                  "SERVER_SOFTWARE": "nginx/1.22.1"}
    connection.sendall(record(1, b"\0\1\1\0\0\0\0\0") +
                       record(4, b"".join(pair(*p) for p in parameters.items())) + record(4, b"") +
                       record(5, b"a=b") + record(5, b""))
    said = got = b""
    while True:
        while len(got) < 8 or len(got) < 8 + sum(struct.unpack("!HB", got[4:7])):
            more = connection.recv(65536)
            if not more:
                sys.exit(f"{target}: the connection was closed without an answer")
            got += more
        kind, (length, padding) = got[1], struct.unpack("!HB", got[4:7])
        if kind == 6:
            said += got[8:8 + length]
        got = got[8 + length + padding:]
        if kind == 3:
            if f"POST {target} #1".encode() not in said:
                sys.exit(f"a wrong answer for {target}: {said}")
            return got == b""


busy, idle = connect(), connect()
ask(busy, "/warm")
ask(idle, "/idle")
os.kill(pid, signal.SIGTERM)
# The idle one keeps the process for a second; meanwhile it loses nothing.
end = time.monotonic() + 0.8
n = opened = 0
while time.monotonic() < end:
    n += 1
    if not ask(busy, f"/busy/{n}"):
        opened += 1
        busy = connect()
if opened < n - 2:
    sys.exit(f"of {n} answers after SIGTERM only {opened} said that the connection ends")
if idle.recv(1) != b"":
    sys.exit("something came after an answer")
PY
redis start
backend start
conf routes='{ path = "/**"; ttl = "5m"; }'
"$LARDER_FCGI" -f "$DIR/larder.conf" -s "$DIR/larder.sock" 2> "$DIR/log/stderr" &
pid=$!
await test -S "$DIR/larder.sock"
python3 "$DIR/client" "$DIR/larder.sock" "$pid" > "$DIR/said" 2>&1 || fail "$(cat "$DIR/said")"
wait "$pid" || fail "exit status $? on SIGTERM"
