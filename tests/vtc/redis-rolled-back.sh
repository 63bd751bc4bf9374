# What a Redis held before it was restarted brings nothing back, unless the configuration trusts it.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site cache='invalidate_timeout = "1s";' redis='breaker_max_rest = "100ms";' \
    routes='{ path = "/**"; resource = "r"; ttl = "5m"; invalidate = ["r:*"]; }'

rolled_back() {
    await is_hit /page
    get /page
    body=$(cat "$DIR/body")
    redis cli save
    cp "$DIR/dump.rdb" "$DIR/old.rdb"
    get /page -d ''
    is "X-Cache-Invalidate" "$(field X-Cache-Invalidate)" done
    redis kill
    cp "$DIR/old.rdb" "$DIR/dump.rdb"
    redis start
    await sh -c 'redis cli --raw --scan --pattern "*gen*" | grep -q .'
    # As soon as Larder is there again.
    end=$(($(date +%s) + 20))
    while :; do
        get /page
        case $(field Cache-Status) in
        *no-generations* | *detail=journal*) ;;
        *) break ;;
        esac
        test "$(date +%s)" -lt "$end" || fail "Redis was not found back"
        sleep 0.05
    done
}

rolled_back
is "X-Cache" "$(field X-Cache)" MISS
case $(cat "$DIR/body") in
"$body") fail "the old page came back" ;;
esac
await is_hit /page

conf cache='invalidate_timeout = "1s";' redis='breaker_max_rest = "100ms"; after_restart = "trust";' \
    routes='{ path = "/**"; resource = "r"; ttl = "5m"; invalidate = ["r:*"]; }'
pool term
pool start -n 1
rolled_back
is "trusted: X-Cache" "$(field X-Cache)" HIT
is "trusted: body" "$(cat "$DIR/body")" "$body"
