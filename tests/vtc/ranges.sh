# Ranges of what is stored: RFC 9110 section 14.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site routes='{ path = "/**"; ttl = "5m"; }'
page='/page?size=1000&type=text/x-a&h=ETag:%22a%22&h=Last-Modified:Tue,%2014%20Nov%202023%2022:13:20%20GMT'
get "$page"
cp "$DIR/body" "$DIR/whole"
redis stored 1

piece() {
    tail -c "+$(($1 + 1))" "$DIR/whole" | head -c "$(($2 - $1 + 1))" > "$DIR/piece"
}
# part RANGE FIRST LAST [CURL ARGUMENT...]
part() {
    range=$1 first=$2 last=$3
    shift 3
    get "$page" -H "Range: $range" "$@"
    is "$range: status" "$(status)" 206
    is "$range: X-Cache" "$(field X-Cache)" HIT
    is "$range: Content-Range" "$(field Content-Range)" "bytes $first-$last/1000"
    is "$range: Content-Length" "$(field Content-Length)" $((last - first + 1))
    is "$range: Content-Type" "$(field Content-Type)" text/x-a
    piece "$first" "$last"
    cmp "$DIR/body" "$DIR/piece" || fail "$range: another body"
}
whole() {
    range=$1
    shift
    get "$page" -H "Range: $range" "$@"
    is "$range: status" "$(status)" 200
    is "$range: X-Cache" "$(field X-Cache)" HIT
    is "$range: Content-Range" "$(field Content-Range)" ''
    cmp "$DIR/body" "$DIR/whole" || fail "$range: another body"
}
part bytes=0-0 0 0
part bytes=2-4 2 4
part bytes=990- 990 999
part bytes=-10 990 999
part bytes=-5000 0 999
part bytes=0-5000 0 999
part BYTES=2-4 2 4
part 'bytes= 2-4' 2 4
part 'bytes=2-4,5000-' 2 4
# Those that touch are one.
part 'bytes=0-4,5-9' 0 9
part 'bytes=0-6,5-9' 0 9

# What is none counts as absent; of what nobody has it is said how much there is.
for range in bytes=4-2 bytes=a-b bytes= bytes=- 'bytes=1-2;3-4' pages=1-2 0-1 'bytes 1-2'; do
    whole "$range"
done
for range in bytes=1000- bytes=2000-3000 bytes=-0; do
    get "$page" -H "Range: $range"
    is "$range: status" "$(status)" 416
    is "$range: X-Cache" "$(field X-Cache)" HIT
    is "$range: Content-Range" "$(field Content-Range)" 'bytes */1000'
    is "$range: body" "$(cat "$DIR/body")" ''
done

# Several.
get "$page" -H 'Range: bytes=0-1,10-12,-2'
is "several: status" "$(status)" 206
is "several: Content-Range" "$(field Content-Range)" ''
boundary=$(field Content-Type | sed -n 's/^multipart\/byteranges; boundary=//p')
test -n "$boundary" || fail "several: Content-Type is $(field Content-Type)"
is "several: Content-Length" "$(field Content-Length)" "$(wc -c < "$DIR/body")"
{
    for ends in 0-1 10-12 998-999; do
        printf '\r\n--%s\r\nContent-Type: text/x-a\r\nContent-Range: bytes %s/1000\r\n\r\n' \
            "$boundary" "$ends"
        piece "${ends%-*}" "${ends#*-}"
        cat "$DIR/piece"
    done
    printf '\r\n--%s--\r\n' "$boundary"
} > "$DIR/parts"
if ! cmp -s "$DIR/body" "$DIR/parts"; then
    # The first boundary may also stand without a line end before it.
    tail -c +3 "$DIR/parts" | cmp "$DIR/body" - || fail "several: another body"
fi

# More than anybody needs: the whole then. The same again and again is one.
many=0-0
for i in 2 4 6 8 10 12 14 16 18 20 22 24 26 28 30 32 34; do
    many=$many,$i-$i
done
whole "bytes=$many"
part 'bytes=0-,0-,0-' 0 999

# If-Range: the same, by a strong tag or an exact date.
part bytes=2-4 2 4 -H 'If-Range: "a"'
part bytes=2-4 2 4 -H 'If-Range: Tue, 14 Nov 2023 22:13:20 GMT'
whole bytes=2-4 -H 'If-Range: "b"'
whole bytes=2-4 -H 'If-Range: W/"a"'
whole bytes=2-4 -H 'If-Range: Tue, 14 Nov 2023 22:13:21 GMT'
whole bytes=2-4 -H 'If-Range: nonsense'

# Only GET knows ranges.
get "$page" -I -H 'Range: bytes=2-4'
is "HEAD: status" "$(status)" 200
is "HEAD: Content-Length" "$(field Content-Length)" 1000
