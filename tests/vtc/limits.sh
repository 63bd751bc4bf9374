# What is too much has its answer, and costs no more than that.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

# lighttpd's own limit, 8 KiB, is out of the way.
echo 'server.max-request-field-size = 60000' > "$DIR/front.extra"
site routes='{ path = "/**"; ttl = "5m"; }'

fields() {
    i=0
    while [ $i -lt "$1" ]; do
        echo "header = \"X-$i: $2\""
        i=$((i + 1))
    done > "$DIR/fields"
}
# Fields of a request: how many, how large.
fields 200 1
gets /page MISS 'GET /page #1' -K "$DIR/fields"
fields 250 1
get /page -K "$DIR/fields"
is "250 fields: status" "$(status)" 431
fields 50 "$(printf %1000s | tr ' ' x)"
get /large -K "$DIR/fields"
is "50 KB: status" "$(status)" 200
long=$(printf %6000s | tr ' ' a)
gets "/$long" MISS "GET /$long #1"
get "/$long$long$long"
is "a long target: status" "$(status)" 414

# Of a response: the backend's fault.
many() {
    seq -f '&h=%g:1' "$1" | tr -d '\n'
}
get "/many?$(many 260)"
is "260 fields from the backend: status" "$(status)" 200
get "/many?$(many 1030)"
is "1030 fields from the backend: status" "$(status)" 502
get "/one?h=X:$(printf %4000s | tr ' ' x)"
is "a long field from the backend: status" "$(status)" 200

# Vary that nobody could make a key of: passed on, not stored.
names=X-0
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
    names=$names,X-$i
done
get "/vary?h=Vary:$names"
is "Vary with 17 names" "$(field Cache-Status | sed 's/; key=.*//')" \
    'Larder; fwd=uri-miss; fwd-status=200; detail=vary'
get "/vary?h=Vary:a%20b"
is "Vary with a blank" "$(field Cache-Status | sed 's/; key=.*//')" \
    'Larder; fwd=uri-miss; fwd-status=200; detail=vary'

# Lists in requests that have no end.
tags='"x"'
i=0
while [ $i -lt 200 ]; do
    tags="$tags, \"$i\""
    i=$((i + 1))
done
get '/tagged?h=ETag:%22a%22'
await is_hit '/tagged?h=ETag:%22a%22'
get '/tagged?h=ETag:%22a%22' -H "If-None-Match: $tags, \"a\""
is "a tag beyond the limit: status" "$(status)" 200
get '/tagged?h=ETag:%22a%22' -H "If-None-Match: \"a\", $tags"
is "a tag within it: status" "$(status)" 304
