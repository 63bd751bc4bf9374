# The same for sites in PHP.
# needs: lighttpd apache2 mod_proxy_fcgi mod_fcgid mod_http2 nginx nghttp python3 redis-server redis-cli spawn-fcgi curl php-fpm
# time: 240
. case
. virtual-hosts

for host in a.test b.test; do
    for directory in '' denied; do
        mkdir -p "$DIR/htdocs/$host/$directory"
        cat > "$DIR/htdocs/$host/$directory/page.php" << 'END'
<?php
$name = preg_replace('/\.?(:.*)?$/', '', strtolower($_SERVER['HTTP_HOST']));
echo 'Host: ', $_SERVER['HTTP_HOST'], "\n";
if (preg_match('/^[ab]\.test$/', $name) && strpos(__DIR__ . '/', "/$name/") === false) {
    echo 'Host: but the script is ', __FILE__, "\n";
}
END
    done
done
redis start
fpm start -c 4
conf url="$(fpm url)" responder='workers = 1; max_fetchers = 4;' routes='{ path = "/**"; ttl = "10m"; }'
# First, because its processes are another user's, which could not write to the pool's log.
virtual_hosts apache-mod-fcgid-php 'page.php?'
# Nor could the pool write to theirs where fs.protected_regular is set, as systemd does.
mv "$DIR/log/larder" "$DIR/log/larder-fcgid"
pool start -n 1
for each in lighttpd-php apache-proxy-fcgi-php nginx-php; do
    virtual_hosts "$each" 'page.php?'
done
