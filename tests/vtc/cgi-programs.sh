# A CGI program behind fcgiwrap, mounted behind nginx as larder.conf(5) has it: the program that runs,
# what follows its name, hits, and a program that says "ask me each time" is asked each time.
# needs: nginx spawn-fcgi redis-server redis-cli curl fcgiwrap
. case

mkdir -p "$DIR/cgi"
cat > "$DIR/cgi/wiki" << 'END'
#!/bin/sh
echo "Content-Type: text/plain"
case $PATH_INFO in
/each*) printf 'Cache-Control: max-age=0\nETag: "%s"\n' "$(date +%N)" ;;
/past*) printf 'Expires: Mon, 26 Jul 1997 05:00:00 GMT\nETag: "%s"\n' "$(date +%N)" ;;
esac
echo
echo . >> "$(dirname "$0")/../runs"
echo "$SCRIPT_NAME $PATH_INFO $QUERY_STRING $(wc -l < "$(dirname "$0")/../runs")"
END
chmod 755 "$DIR/cgi/wiki"

fcgiwrap -s "unix:$DIR/wrap" > "$DIR/log/fcgiwrap" 2>&1 &
await test -S "$DIR/wrap"
redis start
conf url="fastcgi+unix:$DIR/wrap" routes='
    { path = "/**"; ttl = "1h"; stale_while_revalidate = "10s"; }'
pool start -n 2
cat > "$DIR/front.extra" << END
location ~ ^/cgi-bin/(?<program>[a-z]+)(?<rest>/.*)?\$ {
    include larder/larder-pass.conf;
    fastcgi_param SCRIPT_FILENAME $DIR/cgi/\$program;
    fastcgi_param SCRIPT_NAME /cgi-bin/\$program;
    fastcgi_param PATH_INFO \$rest;
}
END
front nginx "$PORT1"

gets '/cgi-bin/wiki/home?a=b' MISS '/cgi-bin/wiki /home a=b 1'
await is_hit "$url/cgi-bin/wiki/home?a=b"
gets '/cgi-bin/wiki/home?a=b' HIT '/cgi-bin/wiki /home a=b 1'
gets /cgi-bin/wiki/other MISS '/cgi-bin/wiki /other  2'
gets /cgi-bin/wiki MISS '/cgi-bin/wiki   3'

# The route's stale_while_revalidate is for what was fresh once.
runs=3
for path in each past; do
    for n in 1 2 3; do
        runs=$((runs + 1))
        get "/cgi-bin/wiki/$path"
        is "/$path, time $n" "$(cat "$DIR/body")" "/cgi-bin/wiki /$path  $runs"
    done
done
