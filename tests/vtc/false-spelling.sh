# A field under a false spelling is not the field: not what a proxy in front has set, nor what the
# web server vouches for. lighttpd makes X-Name of X_Name, X.Name and the like; nginx and Apache drop
# these.
# needs: lighttpd nginx apache2 mod_proxy_fcgi redis-server redis-cli spawn-fcgi curl
. case

token=0123456789abcdef
site upstream='trusted_proxies = ["127.0.0.1"]; trusted_fields = ["X-Who", "Who"];' \
    admin="token = \"$token\"; rate = 2; allow = [\"192.0.2.0/24\"];" routes='
    { path = "/mine"; ttl = "1m"; user = "field:X-Who"; },
    { path = "/own"; ttl = "1m"; user = "field:Who"; },
    { path = "/**"; ttl = "1m"; }'

purge() {
    get /.larder/purge -d '{"urls":["/page"]}' -H "X-Larder-Token: $token" "$@"
}
visitor='X-Forwarded-For: 198.51.100.7'
refused() {
    "$LARDERCTL" -f "$DIR/larder.conf" --json stats | sed -n 's/.*"bad_requests": *\([0-9]*\).*/\1/p'
}

# The proxy has added the visitor's address; the visitor adds one that may purge, in each way that
# there is to write it, before the proxy's and after it.
before=$(refused)
count=0
for c in '!' '#' '$' '%' '&' "'" '*' '+' '.' '^' '_' '`' '|' '~'; do
    for name in "X${c}Forwarded-For" "X-Forwarded${c}For" "X${c}Forwarded${c}For"; do
        purge -H "$visitor" -H "$name: 192.0.2.1"
        is "$name behind: status" "$(status)" 400
        purge -H "$name: 192.0.2.1" -H "$visitor"
        is "$name in front: status" "$(status)" 400
        count=$((count + 2))
    done
done
is "counted" $(($(refused) - before)) "$count"
grep -q 'refused with 400: X-Forwarded-For came twice' "$DIR/log/larder" || fail "not in the log"
# Nor does a visitor take the proxy's away, which would leave the proxy's own address.
purge -H "$visitor" -H 'Connection: close, X-Forwarded-For'
is "listed in Connection: status" "$(status)" 400

# In one spelling they are a list, whose last member is the proxy's.
purge -H 'X-Forwarded-For: 192.0.2.1' -H "$visitor"
is "not from there: status" "$(status)" 403
purge -H "$visitor" -H 'X-Forwarded-For: 192.0.2.1'
is "from there: status" "$(status)" 200

# Whatever else means something.
for pair in X-Larder_Token:X-Larder-Token X-Forwarded_Host:X-Forwarded-Host Cache_Control:Cache-Control \
    If_None_Match:If-None-Match Accept_Encoding:Accept-Encoding CDN_Loop:CDN-Loop; do
    get /page -H "${pair%:*}: a" -H "${pair#*:}: b"
    is "$pair: status" "$(status)" 400
done

# A field that the web server sets for some and removes for others is not to be trusted here, because
# it cannot remove what it does not know. One whose name has no '-' is.
get /mine -H 'X_Who: anna'
is "vouched for in another spelling: status" "$(status)" 500
grep -q 'error: refused with 500: upstream.trusted_fields: X-Who' "$DIR/log/larder" ||
    fail "the operator is not told"
gets /own MISS 'GET /own #1' -H 'Who: anna'
redis stored 1
gets /own HIT 'GET /own #1' -H 'Who: anna'
gets /own BYPASS 'GET /own #2' -H 'Who_: anna'
kill "$(cat "$DIR/run/lighttpd-spawn-fcgi-$PORT1.pid")"

# The other two know one spelling, and drop the rest.
for mount in nginx apache-proxy-fcgi; do
    await sh -c "! listening $PORT1"
    front "$mount" "$PORT1"
    for name in X_Forwarded_For X.Forwarded.For X-Forwarded_For; do
        purge -H "$visitor" -H "$name: 192.0.2.1"
        is "$mount: $name: status" "$(status)" 403
    done
    purge -H "$visitor" -H 'Connection: close, X-Forwarded-For'
    is "$mount: listed in Connection: status" "$(status)" 400
    purge -H 'X-Forwarded-For: 192.0.2.1' -H "$visitor"
    is "$mount: two lines: status" "$(status)" 403
    get /mine -H 'X-Who: anna'
    is "$mount: vouched for: status" "$(status)" 200
    get /mine -H 'X_Who: anna'
    is "$mount: not vouched for: X-Cache" "$(field X-Cache)" BYPASS
    kill "$(cat "$DIR/run/$mount-$PORT1.pid")"
done
await sh -c "! listening $PORT1"

# mod_extforward reads what the proxy says in the one right spelling, and Larder then sees the
# visitor's address: without trusted_proxies no field of the visitor's counts.
pool term
conf admin="token = \"$token\"; rate = 2; allow = [\"192.0.2.0/24\"];"
pool start -n 1
cat > "$DIR/front.extra" << END
server.modules += ( "mod_extforward" )
extforward.forwarder = ( "127.0.0.1" => "trust" )
END
front lighttpd-spawn-fcgi "$PORT1"
purge -H "$visitor"
is "mod_extforward: not from there: status" "$(status)" 403
purge -H 'X_Forwarded_For: 192.0.2.1'
is "mod_extforward: another spelling: status" "$(status)" 403
purge -H "$visitor" -H 'Connection: X-Forwarded-For'
is "mod_extforward: listed in Connection: status" "$(status)" 403
purge -H 'X-Forwarded-For: 192.0.2.1'
is "mod_extforward: from there: status" "$(status)" 200
