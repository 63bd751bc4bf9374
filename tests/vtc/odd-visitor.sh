# One visitor whose odd field is refused, or finds nothing, takes the page from nobody else: neither the
# storing and the waiting for each other of a page that is not stored yet, nor what is stored.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl python3
# time: 60
. case

cat > "$DIR/odd.py" << 'EOF'
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

AREAS = {"accept": "Accept", "plain": "Accept", "agent": "User-Agent", "version": "Accept",
         "original": "Accept", "slow": "Accept", "deleted": "Accept", "mine": "Accept-Language",
         "lang": "Accept-Language", "always": "Accept-Language"}
gone = set()
lock = threading.Lock()
asking = most = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        global asking, most
        asked = self.headers
        area = self.path.split("/")[1]
        field = AREAS.get(area)
        odd = "evil" in asked.get("Accept", "") or "sqlmap" in asked.get("User-Agent", "")
        status, vary, control = 200, field, "max-age=60, stale-if-error=600"
        with open(sys.argv[2], "a") as log:
            log.write(self.path + "\n")
        if area == "delete":
            gone.add(self.path.replace("/delete", "/deleted", 1))
        elif area in ("accept", "original") and odd:
            status = 404 if "X-Original-URL" in asked else 406
        elif area == "slow" and odd:
            time.sleep(1)
            status = 406
        elif area == "plain" and odd:
            status, vary = 406, None
        elif area == "agent" and odd:
            status, vary = 403, None
        elif area == "version" and odd:
            status = 404
        elif self.path in gone:
            status = 404
        elif area == "ranges" and asked.get("Range", "").count(",") > 4:
            status = 403
        elif area == "banned" and asked.get("X-Forwarded-For", "") == "127.0.0.9":
            status = int(self.path.split("/")[2])
        elif area == "closed":
            with lock:
                asking += 1
                most = max(most, asking)
            time.sleep(0.5)
            with lock:
                asking -= 1
                with open(sys.argv[2] + ".most", "w") as log:
                    log.write("%d" % most)
            status, vary = 403, None
        elif area == "mine" and "Accept-Language" in asked:
            time.sleep(0.7)
            control = "private"
        elif area == "always":
            control = "private"
        elif area == "lang" and asked.get("Accept-Language", "").startswith("x-"):
            time.sleep(1)
            status, vary = int(asked["Accept-Language"][2:]), None
            control = "private"
        elif area == "api" and "X-Wanted" not in asked:
            status, vary = 403, "Accept"
        body = ("%s of %s\n" % (status, asked.get(field or "Host", ""))).encode()
        self.send_response(status)
        if vary:
            self.send_header("Vary", vary)
        if status == 200:
            self.send_header("Cache-Control", control)
        elif area == "ranges":
            self.send_header("Cache-Control", "max-age=60")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


ThreadingHTTPServer.daemon_threads = True
ThreadingHTTPServer.request_queue_size = 128
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
EOF
: > "$DIR/log/odd"
python3 "$DIR/odd.py" "$PORT5" "$DIR/log/odd" &
backend=$!
trap 'kill $backend' EXIT
await curl -s "http://127.0.0.1:$PORT5/up"
site url="http://127.0.0.1:$PORT5" routes='{ path = "/deleted/**"; ttl = "1m"; client_control = "honour"; },
    { path = "/banned/**"; ttl = "1m"; client_control = "honour"; }, { path = "/**"; ttl = "1m"; }'

evil='Accept: evil/x'
html='Accept: text/html'
agent='User-Agent: browser'
odd() {
    get "$@"
    is "$1 of the odd one" "$(status)" "$odd_status"
}
asked() {
    grep -c -x -F -e "$1" "$DIR/log/odd" || true
}
is_hit_with() {
    curl -s --max-time 20 -o /dev/null -D - "$@" | grep -q -i '^x-cache: hit'
}
stored_after_one() {
    get "$1" -H "$html" -H "$agent"
    is "$1: status" "$(status)" 200
    is "$1: X-Cache" "$(field X-Cache)" MISS
    await is_hit_with -H "$html" -H "$agent" "$url$1"
}

# The odd one comes first. What the next one gets is stored; the one after that has a hit. At first each
# page tells that it varies, and then the field is expected.
for i in 1 2 3 4; do
    odd_status=406
    odd "/accept/$i" -H "$evil"
    stored_after_one "/accept/$i"
    odd "/plain/$i" -H "$evil"
    stored_after_one "/plain/$i"
    odd_status=403
    odd "/agent/$i" -H 'User-Agent: sqlmap'
    stored_after_one "/agent/$i"
    odd "/ranges/$i" -H 'Range: bytes=0-0,2-2,4-4,6-6,8-8,10-10'
    stored_after_one "/ranges/$i"
done
# Nor does it come later, again and again.
for i in 1 2 3; do
    odd_status=406
    odd /accept/1 -H "$evil/$i"
    await is_hit_with -H "$html" -H "$agent" "$url/accept/1"
done
# A page that refuses everybody's request has its mark all the same, so that it is asked once each time.
for i in 1 2 3; do
    get /api/1 -H "$html" -H 'X-Wanted: 1'
    is "an interface: status" "$(status)" 200
    await -t 5 test "$(redis cli --raw --scan --pattern '*response:*' | wc -l)" -gt 0
    sleep 0.2
    before=$(asked /api/1)
done
get /api/1 -H "$html" -H 'X-Wanted: 1'
is "an interface: asked" "$(($(asked /api/1) - before))" 1
is "an interface: Cache-Status" "$(field Cache-Status | grep -c hit-for-miss)" 1

# An address that the backend refuses is told to it in any case. Who has it takes no page that is fresh, and
# one that is not stored yet for two seconds at most.
banned="--interface 127.0.0.9"
for odd_status in 401 403 407 451 429 408 426; do
    page=/banned/$odd_status
    get "$page/fresh" -H "$html"
    await is_hit_with -H "$html" "$url$page/fresh"
    for control in no-cache min-fresh=1000; do
        odd "$page/fresh" $banned -H "$html" -H "Cache-Control: $control"
        odd "$page/fresh" $banned -H 'Accept: */*' -A '' -H "Cache-Control: $control"
    done
    odd "$page/cold" $banned -H "$html"
    odd "$page/bare" $banned -H 'Accept: */*' -A ''
done
sleep 0.5
for odd_status in 401 403 407 451 429 408 426; do
    page=/banned/$odd_status
    is_hit_with -H "$html" "$url$page/fresh" || fail "$page/fresh: dropped"
    for form in cold bare; do
        await -t 4 is_hit_with -H "$html" "$url$page/$form"
    done
done
# These leave no mark at all.
for odd_status in 429 408 426; do
    odd "/banned/$odd_status/1" $banned -H "$html"
    stored_after_one "/banned/$odd_status/1"
done

# A page that is refused to everybody makes nobody wait for more than the first answer.
curl -s --max-time 20 -o /dev/null "$url/closed/1" &
crowd=$!
await grep -q -x -F /closed/1 "$DIR/log/odd"
for i in 1 2 3 4 5 6; do
    curl -s --max-time 20 -o /dev/null "$url/closed/1" &
    crowd="$crowd $!"
done
for pid in $crowd; do
    wait "$pid"
done
is "requests at once for a page that is refused to all" "$(cat "$DIR/log/odd.most")" 7
is "requests for a page that is refused to all" "$(asked /closed/1)" 8

# Those who wait for the odd one go on waiting for each other: it is fetched for the odd one (twice, and
# with all fields), and then for one of them, who has it twice.
get /slow/0 -H "$html"
curl -s --max-time 20 -o /dev/null -H "$evil" "$url/slow/1" &
odd_one=$!
crowd=
await grep -q -x -F /slow/1 "$DIR/log/odd"
for i in 1 2 3 4 5 6 7 8; do
    curl -s --max-time 20 -o "$DIR/crowd.$i" -H "$html" "$url/slow/1" &
    crowd="$crowd $!"
done
for pid in $odd_one $crowd; do
    wait "$pid"
done
is "the crowd's pages" "$(cat "$DIR"/crowd.* | sort -u)" '200 of text/html'
test "$(asked /slow/1)" -le 5 || fail "the backend was asked $(asked /slow/1) times"
await is_hit_with -H "$html" "$url/slow/1"

# However many odd ones come before a visitor, it waits for one of them.
gathered() {
    for pid in $crowd; do
        wait "$pid" || fail "$1: a visitor waited for too long"
    done
}
for form in new known; do
    crowd=
    if [ $form = known ]; then
        for i in 1 2 3; do
            get "/slow/known/$i" -H "Accept: text/$i"
        done
    fi
    for i in 1 2 3 4 5 6 7 8 9 10; do
        curl -s --max-time 20 -o /dev/null -H "$evil/$i" "$url/slow/$form" &
        crowd="$crowd $!"
    done
    await grep -q -x -F "/slow/$form" "$DIR/log/odd"
    odd_ones=$crowd
    crowd=
    for i in 1 2 3; do
        curl -s --max-time 5 -o "$DIR/crowd.$i" -H "$html" "$url/slow/$form" &
        crowd="$crowd $!"
    done
    gathered "odd ones before a $form page"
    is "the visitors' pages" "$(cat "$DIR"/crowd.[123] | sort -u)" '200 of text/html'
    crowd=$odd_ones
    gathered "odd ones"
    await is_hit_with -H "$html" "$url/slow/$form"
done
# Nor do those wait for each other whose pages are their own.
crowd=
for i in 1 2 3 4 5 6 7 8; do
    curl -s --max-time 5 -o /dev/null -H 'Accept-Language: de' "$url/mine/1" &
    crowd="$crowd $!"
    curl -s --max-time 5 -o /dev/null -H "Accept-Language: d$i" "$url/mine/1" &
    crowd="$crowd $!"
done
gathered "pages of one's own"

# Where the pages of a kind vary by a field, its value alone may have been the cause of any answer that is not
# everybody's. Those who wait are then led by one of them.
for i in 1 2 3; do
    get "/lang/$i" -H "Accept-Language: l$i"
done
crowd=
codes='404 405 410 414 415 422 429 431 451 302 200'
for code in $codes; do
    curl -s --max-time 20 -o /dev/null -H "Accept-Language: x-$code" "$url/lang/$code" &
    crowd="$crowd $!"
done
for code in $codes; do
    await grep -q -x -F "/lang/$code" "$DIR/log/odd"
done
for code in $codes; do
    for i in 1 2 3; do
        curl -s --max-time 20 -o /dev/null -H 'Accept-Language: de' "$url/lang/$code" &
        crowd="$crowd $!"
    done
done
gathered "odd languages"
for code in $codes; do
    # One that is no refusal may be a page that is always its visitor's own: it leaves a mark for two seconds.
    most=2
    test $code -ne 200 || most=4
    test "$(asked "/lang/$code")" -le $most || fail "/lang/$code: asked $(asked "/lang/$code") times"
    await -t 3 is_hit_with -H 'Accept-Language: de' "$url/lang/$code"
done
# And that has its mark, so that it is asked for once for each visitor.
for page in /always/1 /always/2; do
    for i in 1 2 3; do
        get "$page" -H "Accept-Language: d$i"
        sleep 0.3
        before=$(asked "$page")
    done
    get "$page" -H 'Accept-Language: de'
    is "$page: asked" "$(($(asked "$page") - before))" 1
done

# What is not there for an odd value is there for the others, and stays stored.
for i in 1 2 3; do
    get /version/1 -H "Accept: text/$i"
done
for i in 1 2 3; do
    await is_hit_with -H "Accept: text/$i" "$url/version/1"
done
for i in 1 2 3; do
    odd_status=404
    odd /version/1 -H "$evil$i"
    odd_status=404
    get /original/1 -H "$html"
    odd /original/1 -H "$evil$i" -H 'X-Original-URL: /nope'
done
# Behind what these may still have dropped.
sleep 0.5
for i in 1 2 3; do
    is_hit_with -H "Accept: text/$i" "$url/version/1" || fail "version $i was dropped"
done
is_hit_with -H "$html" "$url/original/1" || fail "dropped by X-Original-URL"
life_of() {
    redis cli --raw PTTL "$("$LARDERCTL" -f "$DIR/larder.conf" explain "$@" | sed -n 's/^Key: *//p')"
}
test "$(life_of "$url/original/1" -H "$html")" -gt 120000 || fail "cut by X-Original-URL"

# But of a page that is gone for a value that had it nothing is left for the others; and if a new value tells
# so, the others have it until its time is over and no longer.
for page in /deleted/1 /deleted/2; do
    for i in 1 2; do
        get "$page" -H "Accept: text/$i"
        await is_hit_with -H "Accept: text/$i" "$url$page"
    done
    get "/delete/${page##*/}"
done
get /deleted/1 -H 'Accept: text/1' -H 'Cache-Control: no-cache'
is "deleted" "$(status)" 404
get /deleted/2 -H 'Accept: text/3'
is "deleted, for a new value" "$(status)" 404
gone() {
    test "$(life_of "$@")" -le "$ttl"
}
ttl=0
await gone "$url/deleted/1" -H 'Accept: text/2'
ttl=60000
await gone "$url/deleted/2" -H 'Accept: text/2'
is_hit_with -H 'Accept: text/2' "$url/deleted/2" || fail "what is fresh was dropped"
