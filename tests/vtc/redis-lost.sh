# Redis killed, stopped and restarted under load: every request is answered, and rightly.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site -n 4 cache='budget = "50ms";' routes='{ path = "/**"; ttl = "1m"; }'

under_load() {
    "$LOAD" -c 16 -d 3 -b pattern "$url/page?size=1024" "$url/other?size=20000" "$url/{n}?size=500" \
        > "$DIR/log/load.$1" 2>&1 &
    load=$!
}


for what in kill pause restart; do
    under_load "$what"
    sleep 0.5
    case $what in
    kill)
        redis kill
        sleep 1
        redis start
        ;;
    pause)
        redis pause
        sleep 1
        redis resume
        ;;
    restart)
        redis stop
        redis start
        ;;
    esac
    wait "$load" || fail "$what: $(cat "$DIR/log/load.$what")"
    test "$(awk '$1 == "hits" { print $2 }' "$DIR/log/load.$what")" -gt 0 || fail "$what: no hits"
done
