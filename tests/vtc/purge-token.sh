# The token: no backend gets it, wherever it is sent to, and wrong ones are limited for the whole pool
# while the right one goes through.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

token=0123456789abcdef
site -n 4 admin="token = \"$token\"; rate = 6;" routes='{ path = "/stored/**"; ttl = "5m"; }'

for page in /stored/echo /passed/echo; do
    for field in "X-Larder-Token: $token" "X-Larder-Token: wrong" "Authorization: Bearer $token" \
        "Authorization: bearer  $token" "Authorization: Bearer $token, Bearer $token" \
        "Authorization: Token $token" "Authorization: $token"; do
        get "$page?echo=1&$(echo "$field" | sum /dev/stdin)" -H "$field" -H 'X-Other: here'
        is "$page: status" "$(status)" 200
        grep -q -i "$token\|larder-token\|^authorization" "$DIR/body" &&
            fail "$page with $field: $(cat "$DIR/body")"
        grep -q '^X-Other\|^Via' "$DIR/body" || fail "$(cat "$DIR/body")"
    done
done
for kept in 'Bearer of other tidings' "Bearer x$token"; do
    get "/passed/echo?echo=1" -H "Authorization: $kept"
    grep -q "^Authorization: $kept" "$DIR/body" || fail "$kept: $(cat "$DIR/body")"
done
get "/passed/echo?echo=1" -d x -H "Authorization: Bearer $token"
grep -q "$token" "$DIR/body" && fail "POST: $(cat "$DIR/body")"

# Each try a connection of its own, which any of the processes may take.
for _ in $(seq 1 24); do
    get /.larder/purge -d '{"all":true}' -H 'X-Larder-Token: wrong'
    status
done > "$DIR/statuses"
is "refused" "$(sort "$DIR/statuses" | uniq -c | xargs)" '6 401 18 429'
get /.larder/purge -d '{"all":true}' -H 'X-Larder-Token: wrong'
grep -q 'too many wrong tokens' "$DIR/body" || fail "$(cat "$DIR/body")"
retry=$(field Retry-After)
test "$retry" -ge 1 && test "$retry" -le 10 || fail "Retry-After: $retry"
for _ in $(seq 1 12); do
    get /.larder/purge -d '{"url":"/a"}' -H "X-Larder-Token: $token"
    is "with the right one: status" "$(status)" 200
done
lines=$(grep -c 'refused with' "$DIR/log/larder")
test "$lines" -le 6 || fail "$lines lines for refused purges"
test "$(stat -c %a "$DIR/run/limits")" = 600 || fail "others may read or write the limits"

# Whatever becomes of a process, and where the file is not to be had.
kill -KILL $(pool pids)
rm "$DIR/run/limits"
ln -s /nonexistent "$DIR/run/limits"
pool start -n 1
grep -q "limits are this process's own: limits .*a symbolic link" "$DIR/log/larder" ||
    fail "nothing is said of it"
for _ in $(seq 1 8); do
    get /.larder/purge -d '{"all":true}' -H 'X-Larder-Token: wrong'
    status
done > "$DIR/statuses"
is "refused by one" "$(sort "$DIR/statuses" | uniq -c | xargs)" '6 401 2 429'
