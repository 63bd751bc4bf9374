# Strangers who send a value of their own with each request do not drop what others have in use.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site -n 2 routes='{ path = "/**"; ttl = "5m"; },
    { path = "/brief/**"; ttl = "1s"; }'

is_hit_with() {
    curl -s --max-time 20 -o /dev/null -D - "$@" | grep -q -i '^x-cache: hit'
}
# flood TARGET FIELD NAME COUNT TIMES: so many values of the field, each so many times in a row, by
# one connection.
flood() {
    awk -v url="$url$1" -v field="$2" -v name="$3" -v n="$4" -v times="$5" 'BEGIN {
        for (i = 0; i < n; i++)
            for (k = 0; k < times; k++) {
                if (i + k > 0)
                    print "next"
                printf "url = \"%s\"\nheader = \"%s: %s%d\"\n", url, field, name, i
                print "output = \"/dev/null\"\nsilent\nmax-time = 20"
            }
    }' > "$DIR/flood-$3"
    curl -K "$DIR/flood-$3" || fail "the flood: curl said $?"
}
hit() {
    get "$page" -H "$field: $1"
    is "X-Cache of $1 after $2" "$(field X-Cache)" HIT
}

for field in Accept-Language User-Agent; do
    page="/$field?h=Vary:$field"
    get "$page" -H "$field: de"
    await is_hit_with -H "$field: de" "$url$page"
    flood "$page" "$field" once 70 1
    hit de "70 strangers"
    flood "$page" "$field" twice 70 2
    hit de "70 strangers, twice each"
done

# As a loop, for as long as the visitor comes.
strangers() {
    n=0
    while [ -e "$DIR/strangers" ]; do
        n=$((n + 1))
        flood "$1" Accept-Language "loop$n-" 300 1
    done
}
# comes TARGET: 20 visits in a loop of strangers, of which so many have to be hits.
comes() {
    page=$1
    : > "$DIR/strangers"
    strangers "$page" &
    visits "$2"
    rm "$DIR/strangers"
    wait $!
}
visits() {
    hits=0
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        get "$page" -H 'Accept-Language: de'
        case $(field X-Cache) in
        HIT) hits=$((hits + 1)) ;;
        esac
        sleep 0.2
    done
    test "$hits" -ge "$1" || fail "$page: $hits hits of 20"
}
known() {
    page=$1
    get "$page" -H 'Accept-Language: de'
    await is_hit_with -H 'Accept-Language: de' "$url$page"
}
known '/loop?h=Vary:Accept-Language'
comes "$page" 20

# What runs out and is stored again has kept its place.
known '/brief/loop?h=Vary:Accept-Language'
comes "$page" 10

# Redis has lost it all, and the visitor has been heard of a moment ago.
known '/lost?h=Vary:Accept-Language'
: > "$DIR/strangers"
strangers "$page" &
visits 20
redis stop
redis start
await is_hit_with -H 'Accept-Language: de' "$url$page"
visits 15
rm "$DIR/strangers"
wait $!

# Who comes when the strangers are there already gets a place after a while.
page='/late?h=Vary:Accept-Language'
: > "$DIR/strangers"
strangers "$page" &
await -t 60 is_hit_with -H 'Accept-Language: de' "$url$page"
rm "$DIR/strangers"
wait $!

# Their number is bounded all the same: 64 for each of the six pages, and what leads to them.
redis cli --raw --scan --pattern '*:variants' | while read -r set; do
    test "$(redis cli zcard "$set")" -le 64 || fail "$set has $(redis cli zcard "$set")"
done
test "$(redis entries | wc -l)" -le $((6 * (64 + 2))) || fail "$(redis entries | wc -l) responses"

# Where all are in use a newcomer is served and not stored, and that is told.
page='/full?h=Vary:Accept-Language'
flood "$page" Accept-Language full 64 1
sleep 0.1
flood "$page" Accept-Language full 64 1
explained() {
    "$LARDERCTL" -f "$DIR/larder.conf" explain -H 'Accept-Language: new' "$url$page" |
        grep -q '^Next: *MISS (vary-miss): .*all of them in use'
}
await explained
get "$page" -H 'Accept-Language: new'
is "X-Cache of a newcomer" "$(field X-Cache)" MISS
field Cache-Status | grep -q 'detail=variants' || fail "$(field Cache-Status)"
! field Cache-Status | grep -q '; stored' || fail "$(field Cache-Status)"
test "$("$LARDERCTL" -f "$DIR/larder.conf" --json stats | tr ',{' '\n\n' |
    sed -n 's/^ *"store_skipped_variants": *\([0-9]*\).*/\1/p')" -ge 1 || fail "it is not counted"
