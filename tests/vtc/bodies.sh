# Bodies of every byte value and size come back as they were. Those over max_object are not stored, nor are
# those that end where the connection does.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site routes='{ path = "/**"; ttl = "5m"; }'

stored=0
for size in 0 1 256 65535 65536 65537 1000003 5242880 8388608; do
    for framing in length chunked close; do
        page="/page?size=$size&framing=$framing"
        curl -sS -o "$DIR/straight" "$(backend url)$page"
        get "$page"
        is "$page: X-Cache" "$(field X-Cache)" MISS
        cmp "$DIR/straight" "$DIR/body"
        if [ $framing = close ]; then
            get "$page"
            is "$page: X-Cache" "$(field X-Cache)" MISS
            cmp "$DIR/straight" "$DIR/body"
            backend only GET "$page" 3
            stored=$((stored + 1)) # that it may not be stored
            continue
        fi
        stored=$((stored + 1))
        redis stored "$stored"
        get "$page"
        is "$page: X-Cache" "$(field X-Cache)" HIT
        is "$page: Content-Length" "$(field Content-Length)" "$size"
        cmp "$DIR/straight" "$DIR/body"
        # The first was ours, straight; the hit never arrived.
        backend only GET "$page" 2
    done
done

for framing in length chunked close; do
    for size in 8388609 9437184; do
        page="/large?size=$size&framing=$framing"
        curl -sS -o "$DIR/straight" "$(backend url)$page"
        get "$page"
        cmp "$DIR/straight" "$DIR/body"
        get "$page"
        is "$page: X-Cache" "$(field X-Cache)" MISS
        cmp "$DIR/straight" "$DIR/body"
        backend only GET "$page" 3
    done
done
