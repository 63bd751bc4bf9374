# A head of 20 KiB passes behind Apache, fetched and from the cache. A line of it has at most 8189 bytes:
# that is Apache's limit, without Larder too, and it says so with 500 and in its log.
# needs: apache2 mod_proxy_fcgi mod_fcgid spawn-fcgi redis-server redis-cli curl php-fpm
. case

mkdir -p "$DIR/htdocs"
cat > "$DIR/htdocs/head.php" << 'END'
<?php
header('Content-Type: text/plain');
for ($i = 0; $i < ($_GET['fields'] ?? 0); $i++)
    header("X-Field-$i: " . str_repeat('y', 1024));
if (isset($_GET['line'])) // name, colon, blank and value
    header('X-Line: ' . str_repeat('z', $_GET['line'] - 8));
echo 'ok';
END
redis start
fpm start
conf url="$(fpm url)" responder='workers = 1; max_fetchers = 1;' routes='{ path = "/**"; ttl = "1h"; }'
pool start -n 2
SOCKET=$DIR/fpm.sock front apache-proxy-fcgi-php "$PORT3"
front apache-proxy-fcgi-php "$PORT1"
# Apache's user opens the log now.
chmod 666 "$DIR/log/larder"
front apache-mod-fcgid-php "$PORT2"

for port in "$PORT3" "$PORT1" "$PORT2"; do
    url=http://127.0.0.1:$port
    case $port in
    "$PORT3") wanted='-' ;;
    *) wanted='MISS HIT' ;;
    esac
    for target in '/head.php?fields=20' '/head.php?line=8189'; do
        for cache in $wanted; do
            get "$target"
            is "$target: status" "$(status) $(cat "$DIR/body")" '200 ok'
            is "$target: X-Cache" "$(field X-Cache)" "${cache#-}"
            case $target in
            *fields*) is "$target: last field" "$(field X-Field-19 | wc -c)" 1025 ;;
            *line*) is "$target: line" "$(field X-Line | wc -c)" 8182 ;;
            esac
            [ "$cache" != MISS ] || await is_hit "$url$target"
        done
    done
    for _ in 1 2; do
        get '/head.php?line=8190'
        is "a longer line: status" "$(status)" 500
    done
    grep -q 'Premature end of script headers: head.php' "$DIR"/log/apache-*-"$port" ||
        fail "Apache does not say why"
done
