# The shipped larder-streamspace.conf does what the ancestor's own cache did: its lifetimes, its
# invalidations, its paths that are never cached.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

redis start
backend start
{
    sed -e "s|url = \"[^\"]*\"|url = \"$(backend url)\"|" \
        -e "s|namespace = \"\";|namespace = \"\"; socket = \"$DIR/redis.sock\";|" \
        "$SRC/etc/larder-streamspace.conf"
    cat << END
cache = { budget = "5s"; };
responder = { runtime_dir = "$DIR/run"; };
log = { to = "file"; file = "$DIR/log/larder"; };
END
} > "$DIR/larder.conf"
pool start -n 2
front lighttpd-spawn-fcgi "$PORT1"

as() {
    who=$1
    shift
    gets "$@" -H "X-User-Id: $who" -H "Authorization: Bearer token-of-$who"
}
# cached TARGET RESOURCE SECONDS
cached() {
    redis cli flushall > /dev/null
    n=$(backend count GET "$1")
    as anna "$1" MISS "GET $1 #$((n + 1))"
    redis stored 1
    as anna "$1" HIT "GET $1 #$((n + 1))"
    as bert "$1" MISS "GET $1 #$((n + 2))"
    redis stored 2
    key=$(redis entries | head -n 1)
    case $key in
    "$2:user:anna:response:"*) ;;
    *) fail "$1 is stored as $key" ;;
    esac
    ttl=$(redis cli ttl "$key")
    # Ten minutes more, for the time when the backend fails.
    ttl=$((ttl - 600))
    test "$ttl" -le "$3" && test "$ttl" -gt $(($3 - 10)) || fail "$1 lives for $ttl s, not $3"
}
# dropped METHOD TARGET: what was stored last is gone after that.
dropped() {
    get "$2" -X "$1" -d '{}' -H 'X-User-Id: anna' -H 'Authorization: Bearer token-of-anna'
    is "$1 $2" "$(status)" 200
    redis count 0 || fail "$1 $2 left $(redis entries)"
}

cached /api/v1/sessions session 30
dropped POST /api/v1/sessions
cached /api/v1/sessions/7 session 30
dropped DELETE /api/v1/sessions/7
cached /api/v1/sessions session 30
dropped PUT /api/v1/sessions/7/hibernate
cached /api/v1/templates template 300
dropped POST /api/v1/templates

# A mutation of one kind leaves the other kinds.
cached /api/v1/templates template 300
get /api/v1/sessions -d '{}' -H 'X-User-Id: anna'
redis count 2 || fail "a session's mutation dropped templates"

redis cli flushall > /dev/null
for path in /api/v1/auth/login /api/v1/users/me /api/v1/notifications /api/v1/preferences; do
    for n in 1 2; do
        as anna "$path" BYPASS "GET $path #$n"
        is "Cache-Control" "$(field Cache-Control)" 'no-store, no-cache, must-revalidate'
    done
done
# Nobody is nobody.
gets /api/v1/sessions BYPASS "GET /api/v1/sessions #$(($(backend count GET /api/v1/sessions) + 1))"
redis count 0
