# A request whose body does not come to its end never reaches the backend, whatever cut it: the web
# server that dies, aborts, stops or ends it elsewhere than it has said. What is cached stays.
# needs: spawn-fcgi redis-server redis-cli php python3
. case

mkdir -p "$DIR/htdocs"
cat > "$DIR/htdocs/page" << 'PHP'
<?php
$log = getenv('COMMITS');
if ($_SERVER['REQUEST_METHOD'] != 'GET') {
    $n = strlen(file_get_contents('php://input'));
    usleep(300000);
    file_put_contents($log, "$_SERVER[REQUEST_METHOD] /page " .
        ((int)($_SERVER['CONTENT_LENGTH'] ?? -1) == $n ? 'whole' : 'cut') . " $n\n", FILE_APPEND);
}
echo 'page ', substr_count(file_get_contents($log), 'page');
PHP
: > "$DIR/log/commits"
chmod 666 "$DIR/log/commits"

# sends LENGTH BYTES end|leave|close|abort|stop [METHOD]
sends() {
    responder-request "$DIR/larder.sock" /page "$1" "$2" "$3" "${4:-POST}" "$DIR/htdocs/page"
}
page() {
    responder-request "$DIR/larder.sock" /page 0 0 end GET "$DIR/htdocs/page"
}
# The body of a request, that is.
holds_file() {
    ls -l "/proc/$(pool pids)/fd" | grep -q "$DIR/run/.*(deleted)"
}
shows() {
    test "$(page)" = "$1"
}
cut_by_all() {
    # In memory, and in a file.
    for length in 100000 2000000; do
        half=$((length / 2))
        is "$1: closed" "$(sends "$length" "$half" close)" nothing
        is "$1: aborted" "$(sends "$length" "$half" abort)" nothing
        is "$1: silent" "$(sends "$length" "$half" stop PUT)" nothing
        is "$1: short" "$(sends "$length" "$half" end DELETE)" \
            '400 The request body has another length than it says.'
        is "$1: long" "$(sends "$half" "$length" end PATCH)" \
            '400 The request body has another length than it says.'
        is "$1: closed, of unknown length" "$(sends - "$half" close)" nothing
        is "$1: silent, of unknown length" "$(sends - "$half" stop)" nothing
    done
    is "$1: the backend was asked" "$(cat "$DIR/log/commits")" ''
    is "$1: it came from the cache" "$(page)" "$2"
}

redis start
commits "$PORT5" "$DIR/log/commits" &
await listening "$PORT5"
for backend in http fpm; do
    case $backend in
    http)
        backend_url=http://127.0.0.1:$PORT5 wanted='200 page 0'
        ;;
    fpm)
        fpm start -c 4 "env[COMMITS]=$DIR/log/commits" security.limit_extensions=
        backend_url=$(fpm url) wanted='200 page 0'
        redis cli flushall
        : > "$DIR/log/commits"
        ;;
    esac
    conf url="$backend_url" responder='client_timeout = "1s";' \
        routes='{ path = "/**"; ttl = "1h"; tags = ["shop"]; }'
    pool start -n 1
    is "$backend: the page" "$(page)" "$wanted"
    redis stored 1
    cut_by_all "$backend" "$wanted"

    # The responder dies with half of it.
    sends 2000000 1000000 stop > "$DIR/answer" &
    killed=$!
    await holds_file
    kill -9 $(pool pids)
    wait "$killed"
    is "$backend: killed" "$(cat "$DIR/answer")" nothing
    pool start -n 1
    is "$backend: killed: what the backend had" "$(cat "$DIR/log/commits")" ''
    is "$backend: killed: it came from the cache" "$(page)" "$wanted"

    # Whole, it is a change.
    for length in 100000 -; do
        case $(sends "$length" 100000 end) in
        '200 '*) ;;
        *) fail "$backend: a whole body was refused" ;;
        esac
        is "$backend: what the backend had" "$(tail -n 1 "$DIR/log/commits")" \
            'POST /page whole 100000'
    done
    is "$backend: the page has changed" "$(page)" '200 page 2'

    # Nobody waits for the answer, and what it says is heeded all the same.
    redis stored 1
    is "$backend: it is cached again" "$(page)" '200 page 2'
    sends 100000 100000 leave
    await shows '200 page 3'
    is "$backend: all that the backend had" "$(wc -l < "$DIR/log/commits")" 3
    pool term
done
