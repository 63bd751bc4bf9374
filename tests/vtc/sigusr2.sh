# SIGUSR2: the log is opened again, so that it can be rotated.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site -n 2 log='requests = true;'
get /before
await grep -q /before "$DIR/log/larder"
mv "$DIR/log/larder" "$DIR/log/larder.1"
pool signal USR2
await test -e "$DIR/log/larder"
# Until both have.
arrives() {
    curl -s -o /dev/null "$url/after"
    grep -q /after "$DIR/log/larder"
}
await arrives
old=$(wc -l < "$DIR/log/larder.1")
for _ in 1 2 3 4 5 6 7 8; do
    get /later
done
later() {
    test "$(grep -c /later "$DIR/log/larder")" -ge 8
}
await later
is "lines in the old log" "$(grep -c /later "$DIR/log/larder.1")" 0
test "$old" -gt 0
