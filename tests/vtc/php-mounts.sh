# The web servers' snippets for PHP, without Larder in between: what goes to PHP, as what, and what
# does not. With Larder they are the same but for one path.
# needs: lighttpd apache2 mod_proxy_fcgi mod_fcgid nginx php-fpm php-cgi curl
. case

site=$DIR/htdocs
mkdir -p "$site/wp-admin" "$site/wp-content/uploads"
cat > "$site/index.php" << 'END'
<?php
http_response_code(isset($_GET['status']) ? (int)$_GET['status'] : 200);
echo 'index ', $_SERVER['REQUEST_METHOD'], ' ', $_SERVER['REQUEST_URI'], ' ',
    file_get_contents('php://input');
END
cat > "$site/wp-admin/index.php" << 'END'
<?php
echo 'admin ', $_SERVER['REQUEST_URI'], ' ', $_SERVER['QUERY_STRING'];
END
cat > "$site/credentials.php" << 'END'
<?php
foreach (array('HTTP_AUTHORIZATION', 'REDIRECT_HTTP_AUTHORIZATION', 'Authorization') as $name) {
    if (isset($_SERVER[$name])) {
        exit($_SERVER[$name]);
    }
}
END
echo '<?php header("Content-Length: 10"); echo "0123456789";' > "$site/digits.php"
printf 0123456789 > "$site/digits.txt"
echo secret > "$site/wp-config.php"
echo secret > "$site/wp-config.php~"
mkdir "$site/.git"
echo secret > "$site/.git/config"
echo secret > "$site/.htpasswd"
echo '<?php echo "secret";' > "$site/wp-content/uploads/up.php"
printf 'hello' > "$site/wp-content/uploads/up.txt"

# shows TARGET BODY [CURL ARGUMENT...]
shows() {
    target=$1 wanted=$2
    shift 2
    get "$target" "$@"
    is "$mount: $target: status" "$(status)" 200
    is "$mount: $target" "$(cat "$DIR/body")" "$wanted"
}

fpm start -c 2
for mount in lighttpd-php apache-proxy-fcgi-php apache-mod-fcgid-php nginx-php; do
    SOCKET=$DIR/fpm.sock FCGI_PROGRAM=php-cgi front "$mount" "$PORT1"

    # Addresses that are no files are the front controller's, as they were sent.
    shows / 'index GET / '
    for address in /post-3/ '/a%2Fb/c%20d?x=%41+1' /nothing.php '/?s=1'; do
        shows "$address" "index GET $address "
    done
    # What Larder answers itself is no script's.
    get /.larder/purge
    is "$mount: an address of Larder's" "$(status)" 404
    shows /form/ 'index POST /form/ a=b' -d a=b
    shows /post-3/ 'index DELETE /post-3/ ' -X DELETE
    get '/gone?status=410'
    is "$mount: a status of PHP's" "$(status)" 410
    shows '/wp-admin/?x=1' 'admin /wp-admin/?x=1 x=1'

    # What a user says of himself arrives.
    shows /credentials.php 'Bearer abc' -H 'Authorization: Bearer abc'

    # Files are the web server's, and their ranges; those of pages are not.
    shows /wp-content/uploads/up.txt hello
    get /digits.txt -r 2-4
    is "$mount: a range of a file" "$(status) $(cat "$DIR/body")" '206 234'
    shows /digits.php 0123456789 -r 2-4

    # Nobody reads what is secret, and nobody runs what was uploaded.
    for address in /wp-config.php '/wp-config.php~' /.htpasswd /.git/config /wp-content/uploads/up.php; do
        get "$address"
        is "$mount: $address" "$(status)" 403
    done

    kill "$(cat "$DIR/run/$mount-$PORT1.pid")"
    await sh -c "! listening $PORT1"
done
