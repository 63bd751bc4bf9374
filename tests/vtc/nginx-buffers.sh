# nginx between Larder and visitors: large heads come through, nobody's pace binds PHP, what breaks off
# never looks whole, and what a script wants sent on at once is.
# needs: nginx spawn-fcgi redis-server redis-cli curl php-fpm nghttp
# time: 240
. case

mkdir -p "$DIR/htdocs"
cat > "$DIR/htdocs/head.php" << 'END'
<?php
for ($i = 0; $i < $_GET['fields']; $i++)
    header("X-Field-$i: " . str_repeat('y', (int)$_GET['size']));
echo 'ok';
END
cat > "$DIR/htdocs/large.php" << 'END'
<?php
header('Cache-Control: no-store');
echo str_repeat('x', 1024 * (int)$_GET['kib']);
touch(getenv('GATES') . "/large-$_GET[n]");
END
echo '<?php header("Cache-Control: no-store"); echo "quick";' > "$DIR/htdocs/quick.php"
# Half of a page, and the rest when the case says so.
cat > "$DIR/htdocs/half.php" << 'END'
<?php
$half = str_repeat('x', 1024 * (int)$_GET['kib']);
if (isset($_GET['length']))
    header('Content-Length: ' . 2 * strlen($half));
if (isset($_GET['type']))
    header("Content-Type: $_GET[type]");
if (isset($_GET['buffering']))
    header("X-Accel-Buffering: $_GET[buffering]");
while (ob_get_level())
    ob_end_flush();
echo $half;
flush();
touch(getenv('GATES') . "/half-$_GET[n]");
for ($n = 0; $n < 3000 && !file_exists(getenv('GATES') . "/go-$_GET[n]"); $n++)
    usleep(10000);
echo $half;
END

redis start
fpm start -c 3 "env[GATES]=$DIR/gates"
conf url="$(fpm url)" routes='{ path = "/**"; ttl = "1h"; }'
pool start -n 2
HTTP2_PORT=$PORT2 front nginx-php "$PORT1"
url2=http://127.0.0.1:$PORT2

# Heads: of many fields, and of few long ones.
for shape in 'fields=10&size=2000' 'fields=3&size=8000' 'fields=1&size=20000' 'fields=60&size=900'; do
    for wanted in MISS HIT; do
        get "/head.php?$shape"
        is "$shape: status" "$(status) $(field X-Cache) $(cat "$DIR/body")" "200 $wanted ok"
        is "$shape: the last field" "$(field "X-Field-$(($(echo "$shape" | tr -dc '0-9&' | cut -d '&' -f 1) - 1))" | wc -c)" \
            "$(($(echo "$shape" | tr -dc '0-9&' | cut -d '&' -f 2) + 1))"
        [ "$wanted" = HIT ] || await is_hit "/head.php?$shape"
    done
done

# One connection with a window of one byte, and more pages on it than there are children.
set --
for n in 1 2 3 4 5 6 7 8; do
    set -- "$@" "$url2/large.php?kib=2000&n=$n"
done
nghttp -n -w 1 -t 60 "$@" > "$DIR/log/nghttp" 2>&1 &
slow=$!
for n in 1 2 3 4 5 6 7 8; do
    await test -e "$DIR/gates/large-$n"
done
get /quick.php --max-time 5
is "a quick page beside a slow visitor" "$(status) $(cat "$DIR/body")" '200 quick'
kill -0 "$slow" || fail "the slow visitor was not slow: the case proves nothing"
kill "$slow"
wait "$slow" || true

# At once, if it says so; and only to nginx.
n=100
streams() {
    n=$((n + 1))
    curl -sSN --max-time 60 -o "$DIR/half-$n" -D "$DIR/head" "$url/half.php?kib=1&n=$n&$1" &
    await grep -q x "$DIR/half-$n"
    : > "$DIR/gates/go-$n"
    wait $!
    is "$1: length" "$(wc -c < "$DIR/half-$n")" 2048
    is "$1: X-Accel-Buffering" "$(field X-Accel-Buffering)" ''
}
streams buffering=no
streams type=text/event-stream
streams 'type=text/event-stream;charset=utf-8&length=1'

# The responder is killed in mid-answer (of an answer that nginx collects), by HTTP/1.1 and HTTP/2, with and without a length, with little
# sent and with much.
for version in "--http1.1 $url" "--http2-prior-knowledge $url2"; do
    for length in '' '&length=1'; do
        for kib in 1 500; do
            n=$((n + 1))
            what="${version% *} ${kib}K $length"
            # shellcheck disable=SC2086
            curl -s --max-time 20 -o "$DIR/cut" -w '%{http_code}' \
                ${version% *} "${version#* }/half.php?kib=$kib&n=$n$length" > "$DIR/code" &
            await test -e "$DIR/gates/half-$n"
            pool signal KILL
            code=0
            wait $! || code=$?
            case $code in
            0) is "$what: looks whole" "$(cat "$DIR/code")" 502 ;;
            28) fail "$what: the visitor was left waiting" ;;
            esac
            : > "$DIR/gates/go-$n"
            rm -f "$DIR/larder.sock"
            pool start -n 2
        done
    done
done
