# 20 KiB of fields pass through lighttpd, on a miss and on a hit, with HTTP/1.1 and HTTP/2: many of
# them, and one.
# needs: lighttpd spawn-fcgi redis-server redis-cli curl php-fpm
. case

# passes TARGET X-CACHE PROTOCOL COUNT BYTES: so many X-Many fields, of so many bytes each.
passes() {
    get "$1" "--http$3"
    is "$1, HTTP/$3: status" "$(status)" 200
    is "$1, HTTP/$3: X-Cache" "$(field X-Cache)" "$2"
    is "$1, HTTP/$3: fields" "$(field X-Many | wc -l)" "$4"
    is "$1, HTTP/$3: bytes" "$(field X-Many | tr -d '\n' | wc -c)" "$(($4 * $5))"
}
mkdir "$DIR/htdocs"
cat > "$DIR/htdocs/many.php" << 'END'
<?php
header('Cache-Control: max-age=60');
for ($i = 0; $i < $_GET['count']; $i++)
    header('X-Many: ' . str_repeat('y', $_GET['bytes']), false);
echo 'body';
END
fpm start -c 2
redis start
conf url="$(fpm url)" routes='{ path = "/**"; ttl = "5m"; }'
pool start -n 1
front lighttpd-php "$PORT1"
for size in 'count=20&bytes=1024' 'count=5&bytes=4096' 'count=1&bytes=20480' 'count=60&bytes=1000'; do
    count=${size%&*}
    for http in 1.1 2-prior-knowledge; do
        target="/many.php?$size&$http"
        passes "$target" MISS "$http" "${count#*=}" "${size##*=}"
        is "$target: body" "$(cat "$DIR/body")" body
        await is_hit "$target"
        passes "$target" HIT "$http" "${count#*=}" "${size##*=}"
        is "$target: body" "$(cat "$DIR/body")" body
    done
done
