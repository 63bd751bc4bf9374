# A start that fails says why, in syslog too: spawn-fcgi gives its children no stderr.
#
# Syslog is a stand-in on /dev/log, in a name space of mounts of the case's own. Where none can be had
# (some containers) the case fails: run it as root, or where users may make name spaces.
# needs: lighttpd spawn-fcgi redis-server python3 curl unshare
if [ "${1:-}" != inside ]; then
    map=
    if [ "$(id -u)" -ne 0 ]; then
        map=--map-root-user
    fi
    unshare --mount $map true || {
        echo "FAILED: this case needs a name space of mounts: run it as root"
        exit 1
    }
    exec unshare --mount $map sh -x "$0" inside
fi
. case

# A /dev with a log.
mkdir "$DIR/dev"
for device in null zero full random urandom; do
    : > "$DIR/dev/$device"
    mount --bind "/dev/$device" "$DIR/dev/$device"
done
mkdir "$DIR/dev/shm"
ln -s /proc/self/fd "$DIR/dev/fd"
mount --rbind "$DIR/dev" /dev
cat > "$DIR/syslogd" << 'END'
import os, socket, sys
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.bind('/dev/log')
os.chmod('/dev/log', 0o666)
while True:
    line = log.recv(65536)
    with open(sys.argv[1], 'ab') as f:
        f.write(line + b'\n')
END
: > "$DIR/log/syslog"
setsid python3 "$DIR/syslogd" "$DIR/log/syslog" < /dev/null > "$DIR/log/syslogd" 2>&1 &
await test -S /dev/log

# says WORDS: a line of Larder's with them, in syslog.
says() {
    await grep -q "larder\[[0-9]*\]: cannot start: .*$1" "$DIR/log/syslog"
    : > "$DIR/log/syslog"
}
fork() {
    rm -f "$DIR/larder.sock"
    spawn-fcgi -s "$DIR/larder.sock" -- "$LARDER_FCGI" "$@" > "$DIR/log/spawn-fcgi" 2>&1 || true
}
broken() {
    sed "s/^redis = {/& port = 70000;/" "$DIR/larder.conf" > "$DIR/broken.conf"
}

# spawn-fcgi, whose children have /dev/null for stderr: an option, the file, a setting in it, the
# configuration as a whole.
backend start
conf
fork -f "$DIR/absent.conf"
says 'absent.conf: cannot read the file: No such file or directory'
broken
fork -f "$DIR/broken.conf"
says 'broken.conf:[0-9]*: redis.port'
fork --sockets
says 'option --sockets is unknown'
fork "$DIR/larder.conf"
says "unexpected argument '$DIR/larder.conf'"
conf file=no-ca.conf url=https://127.0.0.1:1 upstream="tls_ca_file = \"$DIR/syslogd\";"
fork -f "$DIR/no-ca.conf"
says 'no-ca.conf: upstream https://127.0.0.1:1: certificates .*/syslogd'
grep -q 'error: cannot start: .*/syslogd' "$DIR/log/larder" || fail "not in the log"

# A test and a start that succeeds leave nothing there.
"$LARDER_FCGI" -t -f "$DIR/broken.conf" 2> "$DIR/log/stderr" && fail "broken.conf is fine"
grep -q 'redis.port' "$DIR/log/stderr" || fail "no reason on stderr"
redis start
pool start -n 1
is "syslog" "$(cat "$DIR/log/syslog")" ''
pool term

# A log that cannot be opened ends no start: syslog has it instead, and once what is to be done.
url=http://127.0.0.1:$PORT2
front lighttpd-spawn-fcgi "$PORT2"
for file in "$DIR/nowhere/log" "$DIR"; do
    : > "$DIR/log/syslog"
    sed "s|file = .*|file = \"$file\";|" "$DIR/larder.conf" > "$DIR/no-log.conf"
    "$LARDER_FCGI" -t -f "$DIR/no-log.conf" 2> "$DIR/log/stderr" || fail "$file: -t refuses it"
    grep -q "warning: log.file $file: " "$DIR/log/stderr" || fail "-t: $(cat "$DIR/log/stderr")"
    pool start -n 1 "$LARDER_FCGI" -f "$DIR/no-log.conf"
    get /page
    is "$file: status" "$(status)" 200
    await grep -q 'larder-fcgi .* started' "$DIR/log/syslog"
    is "$file: lines" "$(grep -c "log.file $file: " "$DIR/log/syslog")" 1
    pool term
done
grep -q 'Is a directory; name a file in it' "$DIR/log/syslog" || fail "no remedy: $(cat "$DIR/log/syslog")"
# Once its directory is there, a reload is enough.
sed "s|file = .*|file = \"$DIR/nowhere/log\";|" "$DIR/larder.conf" > "$DIR/no-log.conf"
pool start -n 1 "$LARDER_FCGI" -f "$DIR/no-log.conf"
await grep -q 'No such file or directory; make its directory' "$DIR/log/syslog"
mkdir "$DIR/nowhere"
pool signal HUP
await grep -q 'read again' "$DIR/nowhere/log"
pool term

# Nor do the directories of the pool: what is to be done about them is in the log.
sed "s|\"$DIR/run\"|\"$DIR/absent\"|" "$DIR/larder.conf" > "$DIR/no-dirs.conf"
pool start -n 1 "$LARDER_FCGI" -f "$DIR/no-dirs.conf"
get /page
is "without its directories: status" "$(status)" 200
grep -q "responder.runtime_dir $DIR/absent has to be there and to belong to" "$DIR/log/larder" ||
    fail "no advice on runtime_dir"
grep -q "cache.state_dir $DIR/absent has to belong to" "$DIR/log/larder" ||
    fail "no advice on state_dir"
pool term

# lighttpd's bin-path.
cp "$DIR/broken.conf" "$DIR/larder.conf"
(front lighttpd-bin-path "$PORT1") > "$DIR/log/front" 2>&1 &
says 'larder.conf:[0-9]*: redis.port'
