# A password: the right one works, from a file or the environment; a wrong one costs the cache only.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

redis start --requirepass s3cret
export REDISCLI_AUTH=s3cret
backend start
routes='{ path = "/**"; ttl = "1m"; }'

run_pool() {
    pool start -n 1
    front lighttpd-spawn-fcgi "$1"
    url=http://127.0.0.1:$1
}

printf 's3cret\n' > "$DIR/password"
chmod 600 "$DIR/password"
conf redis="password_file = \"$DIR/password\";" routes="$routes"
run_pool "$PORT1"
gets /file MISS 'GET /file #1'
redis stored 1
gets /file HIT 'GET /file #1'
pool term

conf redis='password = "wrong";' routes="$routes"
LARDER_REDIS_PASSWORD=s3cret pool start -n 1
gets /file HIT 'GET /file #1'
pool term

pool start -n 1
gets /file MISS 'GET /file #2'
gets /file MISS 'GET /file #3'
grep -q WRONGPASS "$DIR/log/larder" || fail "the log does not say why"
if grep -q s3cret "$DIR/log/larder"; then
    fail "the log has the password"
fi
