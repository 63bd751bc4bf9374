# The same for scripts behind FastCGI: what a visitor's fields do, and what a script finds in $_SERVER.
# needs: lighttpd apache2 mod_proxy_fcgi nginx redis-server redis-cli spawn-fcgi curl php-fpm
# time: 90
. case

mkdir -p "$DIR/htdocs"
cat > "$DIR/htdocs/page.php" << 'END'
<?php
if (isset($_GET['vary'])) {
    header('Vary: ' . $_GET['vary']);
}
foreach ($_SERVER as $name => $value) {
    if (is_string($value) && strpos($name, 'HTTP_') !== false) {
        echo "$name=$value\n";
    }
}
END
# As WordPress tells telephones (wp_is_mobile()), and as a site with two languages chooses.
cat > "$DIR/htdocs/mobile.php" << 'END'
<?php
$hint = $_SERVER['HTTP_SEC_CH_UA_MOBILE'] ?? null;
$agent = $_SERVER['HTTP_USER_AGENT'];
echo $hint === '?1' || ($hint === null && preg_match('/Mobile|Android/', $agent)) ? 'small' : 'large';
END
cat > "$DIR/htdocs/language.php" << 'END'
<?php
header('Vary: Accept-Language');
echo strpos($_SERVER['HTTP_ACCEPT_LANGUAGE'] ?? '', 'de') === 0 ? 'Guten Tag' : 'Hello';
END
# A protection against forged requests that wants a field of its own: which, nobody knows.
cat > "$DIR/htdocs/guarded.php" << 'END'
<?php
header('Cache-Control: max-age=60');
http_response_code(isset($_SERVER['HTTP_X_OUR_CLIENT']) ? 200 : 403);
header(isset($_SERVER['HTTP_X_OUR_CLIENT']) ? 'Vary: X-Our-Client' : 'Cache-Control: no-store');
file_put_contents(__DIR__ . '/guarded', 'x', FILE_APPEND);
echo $_SERVER['HTTP_X_OUR_CLIENT'] ?? 'none';
END
redis start
fpm start
conf url="$(fpm url)" upstream='trusted_proxies = ["127.0.0.1", "10.0.0.0/8"];' routes='{ path = "/own/**"; },
    { path = "/hint.php"; ttl = "1m"; fields = { key = ["Sec-CH-UA-Mobile"]; }; },
    { path = "/**"; ttl = "1m"; }'
cp "$DIR/htdocs/mobile.php" "$DIR/htdocs/hint.php"
mkdir -p "$DIR/htdocs/own"
cp "$DIR/htdocs/page.php" "$DIR/htdocs/own/page.php"
pool start -n 1

names='X-Scheme X-Script-Name X-Arr-Ssl CloudFront-Forwarded-Proto X-Forward-Host X-Middleware-Subrequest Rsc
    Next-Router-Prefetch X-Original-URL X-Rewrite-URL X-HTTP-Method-Override X-Forwarded-Scheme X-Host
    X-Forwarded-Prefix X-Real-Ip Forwarded Front-End-Https Accept-Language User-Agent Referer
    Sec-Fetch-Mode X-Foo Accept'
set --
for name in $names; do
    set -- "$@" -H "$name: zzz-evil"
done
saw() {
    sed -n "s/^HTTP_$1=//p" "$DIR/body"
}
port=$PORT1
for mount in lighttpd-php apache-proxy-fcgi-php nginx-php; do
    url=http://127.0.0.1:$port
    front "$mount" "$port"
    port=$((port + 1))
    get /page.php "$@"
    is "$mount: X-Cache" "$(field X-Cache)" MISS
    if grep zzz "$DIR/body"; then
        fail "$mount: these reached the script"
    fi
    is "$mount: User-Agent" "$(saw USER_AGENT)" 'Mozilla/5.0 (compatible; Larder)'
    is "$mount: Accept" "$(saw ACCEPT)" '*/*'
    get /own/page.php "$@"
    is "$mount: X-Cache where nothing is shared" "$(field X-Cache)" BYPASS
    for name in $names; do
        is "$mount: $name where nothing is shared" \
            "$(saw "$(echo "$name" | tr a-z- A-Z_)")" zzz-evil
    done
    sent='../../etc/passwd, 10.0.0.8, zzz, 192.0.2.9, 10.1.1.1'
    get '/page.php?forwarded' -H "X-Forwarded-For: $sent"
    is "$mount: X-Forwarded-For" "$(saw X_FORWARDED_FOR)" '192.0.2.9, 10.1.1.1'
    get '/page.php?unknown' -H 'X-Forwarded-For: <script>'
    is "$mount: X-Forwarded-For" "$(field X-Cache) $(saw X_FORWARDED_FOR)" 'MISS '
    get /own/page.php -H "X-Forwarded-For: $sent"
    is "$mount: X-Forwarded-For where nothing is shared" "$(saw X_FORWARDED_FOR)" "$sent"
    get '/page.php?k' -H 'X-Wp-Nonce: zzz'
    is "$mount: with a credential" "$(field X-Cache) $(saw X_WP_NONCE)" 'BYPASS zzz'

    get '/page.php?vary=X-Foo' -H 'X-Foo: zzz' -H 'X-Bar: zzz'
    is "$mount: what Vary names" "$(field X-Cache) $(saw X_FOO)$(saw X_BAR)" 'MISS zzz'
    gets /language.php MISS 'Guten Tag' -H 'Accept-Language: de'
    gets /language.php MISS Hello -H 'Accept-Language: en'
    await is_hit /language.php
    get /language.php -H 'Accept-Language: de'
    is "$mount: in German" "$(field X-Cache) $(cat "$DIR/body")" 'HIT Guten Tag'

    # Refused for want of a field: asked again with all, and from the second one on at once.
    : > "$DIR/htdocs/guarded"
    gets /guarded.php MISS me -H 'X-Our-Client: me'
    is "$mount: requests" "$(cat "$DIR/htdocs/guarded")" xx
    seen() {
        before=$(wc -c < "$DIR/htdocs/guarded")
        gets /guarded.php MISS you -H 'X-Our-Client: you'
        test "$(wc -c < "$DIR/htdocs/guarded")" -eq $((before + 1))
    }
    await seen
    seen || fail "$mount: the mark is gone"
    get /guarded.php
    is "$mount: without the field" "$(status)" 403

    # Nobody says so: all have the page that is made for nobody in particular.
    gets /mobile.php MISS large -A 'Mozilla/5.0 (Android; Mobile)'
    gets /hint.php MISS small -H 'Sec-CH-UA-Mobile: ?1'
    gets /hint.php MISS large -H 'Sec-CH-UA-Mobile: ?0'
done
