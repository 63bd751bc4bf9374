# A form that is sent slowly, or breaks off, keeps nothing from being stored and drops nothing: it is
# registered when all of it is here. Behind Apache, which hands on what it has.
# needs: apache2 mod_proxy_fcgi spawn-fcgi redis-server redis-cli curl php python3
. case

mkdir -p "$DIR/htdocs"
echo '<?php header("Cache-Control: no-cache"); echo json_encode($_POST);' > "$DIR/htdocs/form.php"
echo '<?php echo "page";' > "$DIR/htdocs/page.php"
cp "$DIR/htdocs/page.php" "$DIR/htdocs/own.php"
fpm start
redis start
conf url="$(fpm url)" routes='{ path = "/page.php"; ttl = "1h"; tags = ["all"]; },
    { path = "/own.php"; ttl = "1h"; },
    { path = "/form.php"; tags = ["all"]; }'
pool start -n 1
front apache-proxy-fcgi-php "$PORT1"

gets /page.php MISS page
await is_hit "$url/page.php"
gets /own.php MISS page
await is_hit "$url/own.php"
# slow BYTES NAME whole|broken [TARGET]: so many of the 1,000 that were announced, and then waits for a
# sign.
slow() {
    python3 -c '
import os, socket, sys, time
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
n = int(sys.argv[2])
s.sendall(b"POST " + sys.argv[5].encode() + b" HTTP/1.1\r\nHost: 127.0.0.1:" + sys.argv[1].encode() + b"\r\nContent-Length: 1000\r\n"
          b"Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n\r\n")
s.sendall(b"a=" + b"x" * (n - 2))
open(sys.argv[3] + ".sent", "w").close()
while not os.path.exists(sys.argv[3] + ".go"):
    time.sleep(0.02)
if n < 1000 and sys.argv[4] == "whole":
    s.sendall(b"x" * (1000 - n))
    print(s.makefile("rb").read().decode())
' "$PORT1" "$1" "$DIR/gates/$2" "$3" "${4:-/form.php}"
}
slow 500 own broken /own.php > /dev/null &
slow 500 cut broken > /dev/null &
slow 500 whole whole > "$DIR/answer" &
await test -e "$DIR/gates/own.sent"
await test -e "$DIR/gates/cut.sent"
await test -e "$DIR/gates/whole.sent"
sleep 0.5
# Under way: nothing is dropped, and what is not there yet is stored.
gets /page.php HIT page
gets /own.php HIT page
gets '/page.php?other' MISS page
await is_hit "$url/page.php?other"
# Broken off: nothing has happened.
: > "$DIR/gates/cut.go"
: > "$DIR/gates/own.go"
wait %1 %2 || true
sleep 0.3
gets /page.php HIT page
# Whole: a change.
: > "$DIR/gates/whole.go"
wait %3
grep -q 'x-cache-invalidate: done' "$DIR/answer" || grep -q 'X-Cache-Invalidate: done' "$DIR/answer" ||
    fail "the form was answered: $(cat "$DIR/answer")"
gets /page.php MISS page
