# The web server chooses the script, by more than the URL: by the port that was asked, by the client's
# address. Two scripts' answers to one URL are never swapped, and a purge of the URL drops both.
# needs: lighttpd apache2 mod_proxy_fcgi nginx redis-server redis-cli spawn-fcgi curl php-fpm
. case

other=$DIR/other
mkdir -p "$DIR/htdocs" "$other"
for root in "$DIR/htdocs" "$other"; do
    echo '<?php echo basename(__DIR__);' > "$root/page.php"
    echo '<?php echo basename(__DIR__), " ", $_GET["q"] ?? "-";' > "$root/index.php"
    cat > "$root/slow.php" << END
<?php
touch('$DIR/run/' . basename(__DIR__));
for (\$n = 0; \$n < 2000 && !file_exists('$DIR/gate'); \$n++) {
    usleep(10000);
    clearstatcache();
}
echo basename(__DIR__);
END
done
echo '<?php echo "office";' > "$DIR/htdocs/office.php"
echo '<?php echo "closed";' > "$DIR/htdocs/closed.php"

# Port 2 has the same names as port 1 and another root. What is open to the office is closed for others.
# Addresses below /wiki/ are a parameter of index.php.
extra() {
    case $1 in
    lighttpd-php)
        cat << END
server.modules += ( "mod_rewrite" )
\$SERVER["socket"] == "127.0.0.1:$PORT2" { server.document-root = "$other" }
\$HTTP["remote-ip"] != "127.0.0.9" {
    url.rewrite-once = (
        "^/office\\.php(\\?.*)?\$" => "/closed.php\$1",
        "^/wiki/([^?]*)(?:\\?(.*))?\$" => "/index.php?q=\$1&\$2"
    )
}
END
        ;;
    nginx-php)
        cat << END
location = /office.php {
    if (\$remote_addr != 127.0.0.9) {
        rewrite ^ /closed.php last;
    }
    include larder/larder-pass.conf;
}
rewrite "^/wiki/(.*)" /index.php?q=\$1 last;
include larder/larder-php.conf;
}
server {
    listen 127.0.0.1:$PORT2;
    root "$other";
END
        ;;
    apache-*)
        cat << END
RewriteEngine On
RewriteCond %{REMOTE_ADDR} !=127.0.0.9
RewriteRule ^/office\\.php\$ /closed.php [L]
RewriteRule ^/wiki/(.*) /index.php?q=\$1 [QSA,L]
</VirtualHost>
Listen 127.0.0.1:$PORT2
<VirtualHost *:$PORT2>
    DocumentRoot "$other"
    Include larder/larder-php-proxy-fcgi.conf
END
        ;;
    esac
}

# asks PORT TARGET X-CACHE BODY [CURL ARGUMENT...], as the same host on each port.
asks() {
    url=http://127.0.0.1:$1
    shift
    gets "$@" -H 'Host: a.test'
}
is_stored() {
    get "$@" -H 'Host: a.test'
    test "$(field X-Cache)" = HIT
}
# Stores it, and has it from the store.
stores() {
    asks "$1" "$2" MISS "$3" $4
    await is_stored "$2" $4
    asks "$1" "$2" HIT "$3" $4
}

# explains TARGET WORD SCRIPT...: what explain says of it; the scripts are those of which one is named.
explains() {
    target=$1 word=$2
    shift 2
    "$LARDERCTL" -f "$DIR/larder.conf" explain "http://a.test$target" > "$DIR/explained"
    is "explain $target" "$(sed -n 's/^Next: *\([A-Z]*\).*/\1/p' "$DIR/explained")" "$word"
    for script in "$@"; do
        grep -q "^Script: .*$script" "$DIR/explained" && return
    done
    fail "explain $target: $(cat "$DIR/explained")"
}
explained_hit() {
    "$LARDERCTL" -f "$DIR/larder.conf" explain "http://a.test$1" | grep -q '^Next: *HIT'
}

redis start
fpm start -c 4
conf url="$(fpm url)" responder='workers = 1;' routes='
    { path = "/**"; ttl = "10m"; query = { ignore = ["utm_*"]; sort = true; }; }'
pool start -n 1
for mount in lighttpd-php nginx-php apache-proxy-fcgi-php; do
    extra "$mount" > "$DIR/front.extra"
    SNIPPET=larder-php front "$mount" "$PORT1"

    # Whoever comes first.
    [ "$mount" != lighttpd-php ] || explains /page.php MISS unknown
    stores "$PORT1" "/page.php?$mount" htdocs
    stores "$PORT2" "/page.php?$mount" other
    asks "$PORT1" "/page.php?$mount" HIT htdocs
    stores "$PORT2" "/page.php?$mount=2" other
    stores "$PORT1" "/page.php?$mount=2" htdocs

    stores "$PORT1" "/office.php?$mount" office '--interface 127.0.0.9'
    stores "$PORT1" "/office.php?$mount" closed
    asks "$PORT1" "/office.php?$mount" HIT office --interface 127.0.0.9
    stores "$PORT1" "/office.php?$mount=2" closed
    stores "$PORT1" "/office.php?$mount=2" office '--interface 127.0.0.9'

    # explain finds the page behind each, also one that nobody has asked this process for.
    explains "/page.php?$mount" HIT "$DIR/htdocs/page.php, of $DIR/htdocs\$" "$other/page.php, of $other\$"
    grep -q 'of 2 that have something stored' "$DIR/explained" || fail "not both: $(cat "$DIR/explained")"
    stores "$PORT2" "/index.php?$mount" 'other -'
    explains "/index.php?$mount" HIT "$other/index.php, of $other\$"
    explains "/index.php?$mount&never" MISS none
    explains "/office.php?$mount" HIT "/office.php, of" "/closed.php, of"

    # What the route leaves out of the query, or puts in order, stays so where a rewriting adds to it.
    stores "$PORT1" "/wiki/$mount?b=2&a=1" "htdocs $mount"
    asks "$PORT1" "/wiki/$mount?a=1&utm_source=x&b=2" HIT "htdocs $mount"
    asks "$PORT1" "/office.php?$mount&utm_source=x" HIT closed

    # Nor does a request wait for another script.
    rm -f "$DIR/gate"
    for port in "$PORT1" "$PORT2"; do
        curl -sS --max-time 60 -H 'Host: a.test' -o "$DIR/body.$port" \
            "http://127.0.0.1:$port/slow.php?$mount" &
        eval "curl_$port=\$!"
    done
    await test -e "$DIR/run/htdocs"
    await test -e "$DIR/run/other"
    : > "$DIR/gate"
    for port in "$PORT1" "$PORT2"; do
        eval "wait \$curl_$port"
    done
    is "$mount: slow page" "$(cat "$DIR/body.$PORT1") $(cat "$DIR/body.$PORT2")" 'htdocs other'
    rm -f "$DIR/run/htdocs" "$DIR/run/other"

    # A purge is of the URL.
    "$LARDERCTL" -f "$DIR/larder.conf" purge --url="http://a.test/page.php?$mount"
    asks "$PORT1" "/page.php?$mount" MISS htdocs
    asks "$PORT2" "/page.php?$mount" MISS other

    # Of two processes one has seen it, and it is not the one whose answer comes first.
    case $mount in
    apache-*)
        pool term
        SOCKET=$DIR/idle.sock pool start -n 1
        pool start -n 1
        asks "$PORT2" "/page.php?one-of-two" MISS other
        await explained_hit "/page.php?one-of-two"
        explains "/page.php?one-of-two" HIT "$other/page.php"
        ;;
    esac

    kill "$(cat "$DIR/run/$mount-$PORT1.pid")"
    await sh -c "! listening $PORT1"
    await sh -c "! listening $PORT2"
done
