# What has no end, or none that anybody could tell from a broken connection, is served and not stored, and
# nobody waits for another's.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case
. crowd

site -n 2 routes='{ path = "/**"; ttl = "5m"; stale_if_error = "1h"; client_cache = "2m"; }'

detail() {
    field Cache-Status | grep -o 'detail=[a-z-]*'
}

# A body that ends with the connection. A killed backend would look the same.
page='/close?size=3000&framing=close'
for i in 1 2; do
    get "$page"
    is "$page: status" "$(status)" 200
    is "$page: X-Cache" "$(field X-Cache)" MISS
    is "$page: detail" "$(detail)" detail=until-close
    is "$page: Cache-Control" "$(field Cache-Control)" ''
    is "$page: size" "$(wc -c < "$DIR/body")" 3000
done
backend only GET "$page" 2
# It takes no page's place: that may have been whole.
page='/instead?size=3000&framing=close&after=1&h=Cache-Control:max-age=1'
get "$page"
await is_hit "$page"
sleep 1.1
get "$page"
is "$page: detail" "$(detail)" detail=until-close
# What says itself that it is nobody else's is as always.
get '/private?framing=close&h=Cache-Control:private'
is "private: detail" "$(detail)" detail=private
# Chunked it has an end.
get '/chunked?size=3000&framing=chunked'
await is_hit '/chunked?size=3000&framing=chunked'

# Kinds that have none; sound and film only without a length.
for type in text/event-stream 'text/event-stream;charset=utf-8' 'multipart/x-mixed-replace;boundary=a' \
    audio/mpeg video/mp2t application/ogg; do
    page="/kind?type=$type&size=3000&framing=chunked"
    get "$page"
    is "$page: detail" "$(detail)" detail=stream
    is "$page: Cache-Control" "$(field Cache-Control)" ''
    get "$page"
    is "$page: X-Cache" "$(field X-Cache)" MISS
done
get '/kind?type=audio/mpeg&size=3000'
await is_hit '/kind?type=audio/mpeg&size=3000'
get '/kind?type=text/event-stream&size=3000'
is "events with a length: detail" "$(detail)" detail=stream

# Each of those who came together has one of his own, though none has come to its end.
for what in type=text/event-stream framing=close; do
    name=${what#*=}
    name=${name#*/}
    page="/crowd?$what&size=200000&gate=$name&midgate=$name-end"
    case $what in type=*) page="$page&framing=chunked" ;; esac
    crowd "$name" 4 "$page"
    backend saw GET "$page" 1
    await waiting 3
    backend open "$name"
    backend saw GET "$page" 4
    for i in 1 2 3 4; do
        await test -s "$DIR/$name.$i.body"
    done
    backend open "$name-end"
    gathered "$name"
    for i in 1 2 3 4; do
        is "$name $i: size" "$(wc -c < "$DIR/$name.$i.body")" 200000
    done
done
