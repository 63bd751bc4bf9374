# One run of the suite behind one web server; called by tests/conformance/run through the driver of
# the system tests.
# needs: node redis-server curl
# time: 600
suite=$1 mount=$2 result=$3
. case

# The suite's own backend, kept on the loopback.
(
    cd "$suite"
    npm_config_protocol=http npm_config_port=$PORT2 npm_config_pidfile=/dev/null \
        exec node --no-warnings --import "$SRC/tests/conformance/loopback.mjs" \
        test-engine/server/server.mjs
) > "$DIR/log/origin" 2>&1 &
await listening "$PORT2"

# What lighttpd has no word for, and what the suite's speed asks of mod_fcgid.
case $mount in
apache-mod-fcgid) echo 'FcgidMinProcessesPerClass 16' > "$DIR/front.extra" ;;
esac

# One route, as the RFC has it: Vary alone says which fields count.
site -n 4 -m "$mount" url="http://127.0.0.1:$PORT2" routes='{
    path = "/**";
    cache = "rfc";
    authorization = "rfc";
    cookies = { vary = [ "*" ]; };
    set_cookie = "keep";
    error_statuses = "rfc";
    client_control = "honour";
    stale_if_error = "1d";
    languages = [ "de", "en" ];
    fields = { forward = [ "*" ]; };
}'
await curl -s -o "$DIR/warm" "$url/"

cd "$suite"
npm_config_base=$url npm_config_id='' npm_package_config_id='' \
    node --no-warnings test-engine/cli.mjs > "$result.part"
mv "$result.part" "$result"
