# How a visitor asked (the version of HTTP, a field of a body that is not there, an empty credential) is
# not in the key, so that a script which answers for everybody sees none of it.
# needs: lighttpd apache2 mod_proxy_fcgi mod_fcgid nginx redis-server redis-cli spawn-fcgi curl php-fpm
# time: 90
. case

mkdir -p "$DIR/htdocs"
cat > "$DIR/htdocs/seen.php" << 'END_OF_SCRIPT'
<?php
ksort($_SERVER);
foreach ($_SERVER as $name => $value) {
    if (!in_array($name, ['REQUEST_TIME', 'REQUEST_TIME_FLOAT', 'REMOTE_PORT', 'UNIQUE_ID'])) {
        echo $name, '=', json_encode($value, JSON_UNESCAPED_SLASHES), "\n";
    }
}
END_OF_SCRIPT
redis start
fpm start
conf url="$(fpm url)" responder='workers = 1;' routes='{ path = "/own/**"; }, { path = "/**"; ttl = "1m"; }'
mkdir -p "$DIR/htdocs/own"
cp "$DIR/htdocs/seen.php" "$DIR/htdocs/own/seen.php"
pool start -n 1

# seen WHAT [CURL ARGUMENT...]: as a plain request, each time by another URL of the same length.
round=100
seen() {
    what=$1
    round=$((round + 1))
    shift
    get "/seen.php?q$round" "$@"
    is "$mount, $what: X-Cache" "$(field X-Cache)" MISS
    sed "s/q$round/N/g" "$DIR/body" > "$DIR/seen"
    [ -e "$DIR/plain" ] || cp "$DIR/seen" "$DIR/plain"
    diff "$DIR/plain" "$DIR/seen" || fail "$mount: a script that answers for everybody sees $what"
}

mkdir "$DIR/htdocs/a.test"
cp "$DIR/htdocs/seen.php" "$DIR/htdocs/a.test/seen.php"
port=$PORT1
for mount in nginx-php lighttpd-php apache-proxy-fcgi-php apache-mod-fcgid-php; do
    url=http://127.0.0.1:$port
    case $mount in
    apache-*) HOSTS=a.test front "$mount" "$port" ;; # with HTTP/2
    *) front "$mount" "$port" ;;
    esac
    port=$((port + 1))
    rm -f "$DIR/plain"
    seen "a plain request"
    is "$mount: the version" "$(grep '^SERVER_PROTOCOL=' "$DIR/plain")" 'SERVER_PROTOCOL="HTTP/1.1"'
    seen "HTTP/1.0" -0
    seen "an empty Content-Type" -H 'Content-Type;'
    seen "a Content-Type" -H 'Content-Type: text/plain'
    seen "a Content-Length" -H 'Content-Length: 0'
    seen "an empty Authorization" -H 'Authorization;'
    case $mount in
    apache-*) seen "HTTP/2" --http2-prior-knowledge ;;
    esac
done

# An answer for one visitor alone depends on what that one sent.
url=http://127.0.0.1:$PORT1
get /own/seen.php -0
is "X-Cache" "$(field X-Cache)" BYPASS
is "the version of a pass" "$(grep '^SERVER_PROTOCOL=' "$DIR/body")" 'SERVER_PROTOCOL="HTTP/1.0"'
