# A change after the head of its answer: what is fetched between the two must not outlive the end of the
# answer. With PHP's fastcgi_finish_request() the web server has the end before the change, and nobody
# knows of it but the script: it purges by itself, or its route says how long it may take. Where the visitor
# has all of the answer by its Content-Length, the end of the script is waited for without the visitor.
# needs: nginx spawn-fcgi redis-server redis-cli curl php
. case

mkdir -p "$DIR/htdocs"
cat > "$DIR/htdocs/page.php" << 'PHP'
<?php
header('Cache-Control: max-age=3600');
echo 'page ', (int)@file_get_contents(getenv('STATE') . '/version');
PHP
# how=flush: the head and some of the body first; then, when the gate is open, the change; then the end.
# how=finish: the whole answer first, then the change and the purge for it.
# how=late: the whole answer first, then the change.
# how=length: all of a body whose length is told first, then the change, then the end.
cat > "$DIR/htdocs/import.php" << 'PHP'
<?php
require getenv('LARDER_PHP');
while (ob_get_level())
    ob_end_flush();
if ($_GET['how'] == 'length') {
    ignore_user_abort(true);
    header('Content-Length: 6');
}
echo "begun\n";
if ($_GET['how'] == 'flush' || $_GET['how'] == 'length')
    flush();
else
    fastcgi_finish_request();
file_put_contents(getenv('STATE') . '/begun', '1');
for ($n = 0; $n < 2000 && !file_exists(getenv('STATE') . '/go'); $n++) {
    usleep(10000);
    clearstatcache();
}
file_put_contents(getenv('STATE') . '/version', (int)@file_get_contents(getenv('STATE') . '/version') + 1);
if ($_GET['how'] == 'finish')
    (new Larder(getenv('PURGE_URL'), getenv('PURGE_TOKEN')))->purgeTags(['shop']);
if ($_GET['how'] == 'flush')
    echo "done\n";
file_put_contents(getenv('STATE') . '/changed', '1');
PHP
cp "$DIR/htdocs/import.php" "$DIR/htdocs/late.php"
mkdir -m 777 "$DIR/state"
fpm start -c 4 "env[STATE]=$DIR/state
env[LARDER_PHP]=$SRC/contrib/php/larder.php
env[PURGE_URL]=$url/.larder/purge
env[PURGE_TOKEN]=0123456789abcdef"
redis start
conf url="$(fpm url)" admin='token = "0123456789abcdef";' routes='
    { path = "/page.php"; ttl = "1h"; tags = ["shop"]; },
    { path = "/import.php"; methods = ["POST"]; tags = ["shop"]; },
    { path = "/late.php"; methods = ["POST"]; tags = ["shop"]; commit_delay = "20s"; }'
pool start -n 2
front nginx-php "$PORT1"

under_way() {
    test "$(redis cli hkeys larder:gen-mutations | grep -c -v '^$')" -eq "$1"
}
# shows BODY
shows() {
    get /page.php
    test "$(cat "$DIR/body")" = "$1"
}
version=0
for how in flush finish length unattended killed late; do
    script=import
    [ "$how" = late ] && script=late
    target=/$script.php?how=$how
    case $how in
    unattended | killed) target=/$script.php?how=length ;;
    esac
    rm -f "$DIR/state/begun" "$DIR/state/go" "$DIR/state/changed"
    await is_hit "$url/page.php"
    if [ "$how" = unattended ]; then
        # This one sees the end of the answer on the connection, and not only the length of its body.
        responder-request "$DIR/larder.sock" "$target" 0 0 end POST "$DIR/htdocs/import.php" > "$DIR/import" &
    else
        curl -sSN --max-time 60 -o "$DIR/import" -d '' "$url$target" &
    fi
    import=$!
    await test -e "$DIR/state/begun"
    # The head has been seen; with "finish" the end as well. What is fetched now is from before.
    if [ "$how" != flush ]; then
        wait "$import"
    else
        await grep -q begun "$DIR/import"
    fi
    await is_hit "$url/page.php"
    gets /page.php HIT "page $version"
    case $how in
    length | unattended) under_way 1 || fail "$how: $(redis cli hgetall larder:gen-mutations)" ;;
    killed)
        kill -9 $(pool pids)
        pool start -n 2
        ;;
    esac
    if [ "$how" = unattended ]; then
        is "$how" "$(cat "$DIR/import")" "200 begun"
    fi
    : > "$DIR/state/go"
    await test -e "$DIR/state/changed"
    wait "$import" || true
    version=$((version + 1))
    case $how in
    late) await -t 10 shows "page $version" ;;
    length | unattended) await under_way 0 ;;
    killed)
        await -t 10 shows "page $version"
        redis cli del larder:gen-mutations
        ;;
    esac
    get /page.php
    is "$how: after its end" "$(cat "$DIR/body")" "page $version"
done
