# PHP-FPM in trouble: restarted under load, killed, out of children, its queue full, its visitors gone.
# needs: lighttpd nginx spawn-fcgi redis-server redis-cli curl php
# time: 240
. case

mkdir -p "$DIR/htdocs"
cat > "$DIR/htdocs/page.php" << 'END'
<?php
usleep(20000);
echo 'page ', $_SERVER['QUERY_STRING'];
END
cp "$DIR/htdocs/page.php" "$DIR/htdocs/stored.php"
cat > "$DIR/htdocs/wait.php" << 'END'
<?php
$gates = getenv('GATES');
touch("$gates/waits-{$_GET['n']}");
for ($n = 0; $n < 3000 && !file_exists("$gates/go-{$_GET['gate']}"); $n++)
    usleep(10000);
echo 'waited';
END
cat > "$DIR/htdocs/abort.php" << 'END'
<?php
$gates = getenv('GATES');
touch("$gates/abort-begun-{$_GET['n']}");
while (ob_get_level())
    ob_end_flush();
register_shutdown_function(function () use ($gates) {
    if (connection_aborted())
        touch("$gates/abort-seen-{$_GET['n']}");
    touch("$gates/abort-over-{$_GET['n']}");
});
for ($n = 0; $n < 300; $n++) {
    usleep(20000);
    if (file_exists("$gates/abort-go-{$_GET['n']}")) {
        echo ' ';
        flush();
        if ($n > 50)
            break;
    }
}
END
cat > "$DIR/htdocs/index.php" << 'END'
<?php
END

fpm start -c 4 "env[GATES]=$DIR/gates" process_control_timeout=10s
redis start
conf url="$(fpm url)" upstream='connect_timeout = "2s"; timeout = "30s";' routes='
    { path = "/page.php"; ttl = "1s"; stale_if_error = "1h"; },
    { path = "/stored.php"; ttl = "1h"; },
    { path = "/wait.php"; ttl = "1m"; },
    { path = "/abort.php"; ttl = "1m"; }'
pool start -n 2
front lighttpd-php "$PORT1"

# ------------------------------------------------------------------------ restarted under load

# Nobody sees anything of it.
reader() {
    n=0
    while [ ! -e "$DIR/enough" ]; do
        n=$((n + 1))
        answer=$(curl -sS --max-time 30 -w ' %{http_code}' "$url/page.php?$1.$n" 2>&1) || true
        [ "$answer" = "page $1.$n 200" ] || echo "$answer" >> "$DIR/wrong"
        echo >> "$DIR/log/answers.$1"
    done
}
: > "$DIR/wrong"
for client in 1 2 3 4; do
    reader "$client" &
done
answers() {
    test "$(cat "$DIR"/log/answers.* | wc -l)" -ge "$1"
}
for round in 1 2 3; do
    await answers $((round * 60))
    before=$(pgrep -P "$(fpm pid)" | sort | tr '\n' ' ')
    fpm reload
    others() {
        after=$(pgrep -P "$(fpm pid)" | sort | tr '\n' ' ')
        test -n "$after" && test "$after" != "$before"
    }
    await others
done
await answers 240
: > "$DIR/enough"
wait
is "answers that were wrong" "$(cat "$DIR/wrong")" ''

# ------------------------------------------------------------------------------------- killed

gets '/page.php?kept' MISS 'page kept'
redis_has() {
    redis entries | grep -q .
}
await redis_has
fpm stop
sleep 1.1
gets '/page.php?kept' STALE 'page kept'
get '/page.php?other'
is "nothing to show" "$(status)" 502
fpm start -c 2 "env[GATES]=$DIR/gates" listen.backlog=1
gets '/page.php?other' MISS 'page other'
gets /stored.php MISS 'page '
await is_hit "$url/stored.php"

# ------------------------------------------------------------------- out of children, queue full

for n in 1 2; do
    curl -sS --max-time 60 -o "$DIR/waited.$n" "$url/wait.php?n=$n&gate=a" &
    await test -e "$DIR/gates/waits-$n"
done
# All children are busy. Who comes now waits his turn; what is stored is there at once.
for n in 3 4 5 6; do
    curl -sS --max-time 60 -o "$DIR/page.$n" -w '%{http_code}' "$url/page.php?full.$n" > "$DIR/code.$n" &
done
gets /stored.php HIT 'page ' --max-time 1
: > "$DIR/gates/go-a"
wait
for n in 1 2; do
    is "waited" "$(cat "$DIR/waited.$n")" waited
done
for n in 3 4 5 6; do
    is "who came when it was full" "$(cat "$DIR/code.$n") $(cat "$DIR/page.$n")" "200 page full.$n"
done

# When it stays full: 503, after connect_timeout, and not before.
for n in 11 12; do
    curl -sS --max-time 60 -o "$DIR/waited.$n" "$url/wait.php?n=$n&gate=b" &
    await test -e "$DIR/gates/waits-$n"
done
for n in 13 14 15 16 17; do
    curl -sS --max-time 60 -o /dev/null -w '%{http_code} %{time_total}\n' "$url/page.php?stays.$n" \
        > "$DIR/code.$n" &
done
refused() {
    cat "$DIR"/code.1[3-7] | grep -q '^503 2'
}
await refused
: > "$DIR/gates/go-b"
wait
cat "$DIR"/code.1[3-7] | grep -v -E '^(200|503 2)' && fail "neither an answer nor 503 after 2 s"

# ------------------------------------------------------------------------------- a visitor leaves

# nginx sees it and closes; lighttpd and Apache see it when they next write to the visitor.
# In one process, which knows who waits; a process that waits for another's fetch makes one of its own.
pool term
pool start -n 1
front nginx-php "$PORT2"

# Nobody else wants the answer: PHP hears of it as soon as the script writes.
curl -sS --max-time 60 -o /dev/null "http://127.0.0.1:$PORT2/abort.php?n=1" &
visitor=$!
await test -e "$DIR/gates/abort-begun-1"
kill "$visitor"
wait "$visitor" || true
counter() {
    "$LARDERCTL" -f "$DIR/larder.conf" --json stats | tr ',{}' '\n\n\n' |
        sed -n "s/^ *\"$1\" *: *\([0-9]*\).*/\1/p" | head -n 1
}
at_least() {
    test "$(counter "$1")" -ge "$2"
}
await at_least client_gone 1
: > "$DIR/gates/abort-go-1"
await test -e "$DIR/gates/abort-over-1"
test -e "$DIR/gates/abort-seen-1" || fail "the script was not told that its visitor is gone"

# Somebody else does: it goes on, and he gets it.
curl -sS --max-time 60 -o /dev/null "http://127.0.0.1:$PORT2/abort.php?n=2" &
visitor=$!
await test -e "$DIR/gates/abort-begun-2"
before=$(counter requests)
curl -sS --max-time 60 -o "$DIR/second" -w '%{http_code}' "http://127.0.0.1:$PORT2/abort.php?n=2" > "$DIR/code.second" &
second=$!
await at_least requests $((before + 1))
kill "$visitor"
wait "$visitor" || true
: > "$DIR/gates/abort-go-2"
wait "$second"
is "whoever waited" "$(cat "$DIR/code.second")" 200
test -e "$DIR/gates/abort-seen-2" && fail "the script was told that nobody wants its answer"
exit 0
