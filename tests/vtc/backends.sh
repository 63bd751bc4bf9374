# Several backends: the one that takes no connection is passed over, for any request; it is tried again
# when its rest is over; a backup is asked only while all others rest; and larderctl says how each is.
# needs: lighttpd spawn-fcgi redis-server redis-cli curl php
# time: 120
. case

mkdir -p "$DIR/htdocs"
echo '<?php echo getenv("NAME"), " ", $_SERVER["REQUEST_METHOD"], " ", file_get_contents("php://input");' \
    > "$DIR/htdocs/who.php"
: > "$DIR/htdocs/index.php"
fpm start "env[NAME]=a"
# More of them, each with its own socket.
as_root=
[ "$(id -u)" -ne 0 ] || as_root=-R
another() {
    sed -e "s|^listen = .*|listen = $DIR/$1.sock|" -e "s|^pid = .*|pid = $DIR/$1.pid|" \
        -e "s|^error_log = .*|error_log = $DIR/log/fpm-$1|" -e "s|^env\[NAME\].*|env[NAME] = $1|" \
        "$DIR/fpm.conf" > "$DIR/fpm-$1.conf"
    setsid "$(php-program fpm)" -F $as_root -y "$DIR/fpm-$1.conf" < /dev/null > "$DIR/log/fpm-$1.out" 2>&1 &
    await test -S "$DIR/$1.sock"
}
end() {
    kill "$(xargs < "$DIR/$1.pid")"
    await test ! -S "$DIR/$1.sock"
}
another b
another spare
redis start
# Written by hand: conf has one url.
conf url=http://127.0.0.1:1 routes='{ path = "/stored.php"; ttl = "1h"; }'
urls="urls = [\"fastcgi+unix:$DIR/fpm.sock\", \"fastcgi+unix:$DIR/b.sock\"];"
urls="$urls backup_urls = [\"fastcgi+unix:$DIR/spare.sock\"]; fail_timeout = \"2s\";"
sed -i "s|url = \"http://127.0.0.1:1\";|$urls|" "$DIR/larder.conf"
pool start -n 1
front lighttpd-php "$PORT1"

who() {
    get /who.php "$@"
    is "status" "$(status)" 200
    cut -d ' ' -f 1 "$DIR/body"
}
# Both, in turns.
seen=$(for _ in 1 2 3 4 5 6; do who; done | sort | uniq -c | xargs)
is "who answered" "$seen" '3 a 3 b'

# One is gone: nobody notices, whatever he asks for.
end b
for _ in 1 2 3 4; do
    is "who answers" "$(who)" a
    is "who takes a form" "$(who -d 'x=1')" a
    is "the form" "$(cat "$DIR/body")" 'a POST x=1'
done
resting() {
    "$LARDERCTL" -f "$DIR/larder.conf" status | grep -q "backends.fastcgi+unix:$DIR/$1.sock.rests_ms *[1-9]"
}
resting b || fail "b does not rest"
resting spare && fail "the backup rests"
grep -q "backend fastcgi+unix:$DIR/b.sock: cannot be reached" "$DIR/log/larder" || fail "nothing was logged"

# Both are: the backup.
fpm stop
is "who helps out" "$(who)" spare
is "who takes a form" "$(who -d 'x=1')" spare

# All are.
end spare
get /who.php
is "with none" "$(status)" 502
get /who.php -d x
is "with none, a form" "$(status)" 502

# One is back, and takes what there is as soon as its rest is over.
another b
answers() {
    curl -sS "$url/who.php" | grep -q "^$1 "
}
await answers b
await grep -q "backend fastcgi+unix:$DIR/b.sock: can be reached again" "$DIR/log/larder"
fpm start "env[NAME]=a"
await answers a
