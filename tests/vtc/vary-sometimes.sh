# Answers that vary only sometimes, as those of many servers do to requests with Origin (CORS): one without
# Vary is for requests of its own kind, and the others keep theirs (RFC 9111 4.1).
# needs: lighttpd redis-server redis-cli spawn-fcgi curl python3
. case

# With Origin an answer names it and varies; without it there is no Vary. /late waits for the gate with
# such an answer. ?names adds to Vary what it says. Each answer has its number.
cat > "$DIR/backend.py" <<'END'
import http.server, os, sys, time, urllib.parse

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    count = 0

    def do_GET(self):
        Handler.count += 1
        number = Handler.count
        with open(sys.argv[2] + '/log/asked', 'a') as log:
            log.write(f'{self.path} {self.headers.get("Origin", "-")}\n')
        origin = self.headers.get('Origin')
        path, _, names = self.path.partition('?')
        while path == '/late' and not origin and not os.path.exists(sys.argv[2] + '/gates/late'):
            time.sleep(0.01)
        body = f'{origin or "plain"} #{number}'.encode()
        self.send_response(404 if path == '/error' and not origin else 200)
        self.send_header('Content-Length', str(len(body)))
        if origin:
            self.send_header('Vary', 'Origin')
            self.send_header('Access-Control-Allow-Origin', origin)
        elif names:
            self.send_header('Vary', names)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass

http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
END
python3 "$DIR/backend.py" "$PORT2" "$DIR" > "$DIR/log/backend" 2>&1 &
await listening "$PORT2"
site -n 2 url="http://127.0.0.1:$PORT2" coalesce='enabled = false;' coalesce='enabled = false;' \
    routes='{ path = "/**"; ttl = "5m"; ttl_by_status = ["404 5m"];
        fields = { forward = ["Origin"]; }; }'

has_it() {
    get "$@"
    test "$(field X-Cache)" = HIT
}
# allowed TARGET ORIGIN: from the cache, and for that one.
allowed() {
    await has_it "$1" -H "Origin: $2"
    is "$1 $2: allowed" "$(field Access-Control-Allow-Origin)" "$2"
    is "$1 $2: body" "$(cut -d ' ' -f 1 "$DIR/body")" "$2"
}

# One without Vary between those that have it displaces none of them, and is none of theirs.
for page in /page /error; do
    get "$page" -H 'Origin: http://a'
    await has_it "$page" -H 'Origin: http://a'
    get "$page"
    is "$page: body" "$(cut -d ' ' -f 1 "$DIR/body")" plain
    is "$page: X-Cache" "$(field X-Cache)" MISS
    await has_it "$page"
    is "$page: body" "$(cut -d ' ' -f 1 "$DIR/body")" plain
    allowed "$page" http://a
    get "$page" -H 'Origin: http://b'
    is "$page: X-Cache of b" "$(field X-Cache)" MISS
    allowed "$page" http://b
    allowed "$page" http://a
    await has_it "$page"
    is "$page: body" "$(cut -d ' ' -f 1 "$DIR/body")" plain
done

# One that is under way while the first with Vary comes does not displace it either.
get /late -H 'Origin: http://a' -o "$DIR/warm"
await has_it /late -H 'Origin: http://a'
redis cli --raw FLUSHALL > /dev/null
curl -sS --max-time 60 -o "$DIR/late" "$url/late" &
late=$!
await grep -q -x '/late -' "$DIR/log/asked"
get /late -H 'Origin: http://a'
allowed /late http://a
: > "$DIR/gates/late"
wait "$late"
is "late: body" "$(cut -d ' ' -f 1 "$DIR/late")" plain
get /late
is "late: X-Cache" "$(field X-Cache)" MISS
await has_it /late
allowed /late http://a

# Names that different answers have are looked at together.
get '/page?Accept-Language' -H 'Origin: http://a'
allowed '/page?Accept-Language' http://a
get '/page?Accept-Language'
get '/page?Accept-Language' -H 'Origin: http://a'
allowed '/page?Accept-Language' http://a
await has_it '/page?Accept-Language'
is "two names: body" "$(cut -d ' ' -f 1 "$DIR/body")" plain
get '/page?Accept-Language' -H 'Accept-Language: de'
is "two names: X-Cache" "$(field X-Cache)" MISS
await has_it '/page?Accept-Language' -H 'Accept-Language: de'
allowed '/page?Accept-Language' http://a
await has_it '/page?Accept-Language'
