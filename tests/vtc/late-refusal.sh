# A refusal that comes late says nothing of a page that was stored while it was on its way.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl python3
. case

cat > "$DIR/refuses.py" << 'END'
"""A backend that keeps two visitors waiting, each until there is a file of its address, and refuses them
with the status in the path; everybody else gets a page."""
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        address = self.headers.get("X-Forwarded-For", "")
        refused = address in ("127.0.0.9", "127.0.0.10")
        while refused and not os.path.exists(f"{sys.argv[2]}/{address}"):
            time.sleep(0.02)
        with open(f"{sys.argv[2]}/asked", "a") as asked:
            print(address, file=asked)
        self.send_response(int(self.path[1:4]) if refused else 200)
        if not refused:
            self.send_header("Cache-Control", "max-age=600")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"x\n")

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
END
mkdir "$DIR/go"
python3 "$DIR/refuses.py" "$PORT5" "$DIR/go" &
backend=$!
trap 'kill $backend' EXIT
await listening "$PORT5"
site -n 1 url="http://127.0.0.1:$PORT5" routes='{ path = "/**"; ttl = "10m"; }'
fetching() {
    "$LARDERCTL" -f "$DIR/larder.conf" --json stats | grep -q "\"upstream_requests\": *$1,"
}
requests=0
for status in 403 451 404 302; do
    rm -f "$DIR/go"/127.*
    curl -s -o /dev/null --interface 127.0.0.9 "$url/$status" &
    first=$!
    await fetching "$((requests + 1))"
    curl -s -o /dev/null --interface 127.0.0.10 -H 'Cache-Control: no-cache' "$url/$status" &
    second=$!
    await fetching "$((requests + 2))"
    : > "$DIR/go/127.0.0.9"
    wait "$first"
    await is_hit "/$status"
    : > "$DIR/go/127.0.0.10"
    wait "$second"
    requests=$("$LARDERCTL" -f "$DIR/larder.conf" --json stats | sed -n 's/.*"upstream_requests": *\([0-9]*\),.*/\1/p')
    sleep 0.3
    get "/$status"
    is "$status: after the late refusal" "$(field X-Cache)" HIT
done
