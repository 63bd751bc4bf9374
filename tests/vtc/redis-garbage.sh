# Whatever stands under an entry's key: what is not an entry, whole and of this page, is a miss.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site routes='{ path = "/**"; ttl = "5m"; }'
gets /other MISS 'GET /other #1'
redis stored 1
other=$(redis entries)
gets /page MISS 'GET /page #1'
redis stored 2
page=$(redis entries | grep -v -x -F "$other")
gets /page HIT 'GET /page #1'

# The bytes of an entry, without the line end that redis-cli adds.
save() {
    redis cli --raw get "$1" | head -c -1 > "$2"
}

# What is put there is not served; the page is fetched, and stored over it.
count=1
stored_over() {
    redis cli --raw get "$page" | cmp -s - "$DIR/garbage" && return 1
    is_hit /page
}
# What is in $DIR/rubbish.
put() {
    redis cli -x set "$page" < "$DIR/rubbish" > /dev/null
    redis cli --raw get "$page" > "$DIR/garbage"
    count=$((count + 1))
    gets /page MISS "GET /page #$count"
    await stored_over
}

save "$page" "$DIR/entry"
size=$(wc -c < "$DIR/entry")

for text in '' 'rubbish' 'LARDER1\n' 'LARDER1\n\377\377\377\377' '{"status_code":200}'; do
    # The text is a format: it has the escapes.
    # shellcheck disable=SC2059
    printf "$text" > "$DIR/rubbish"
    put
done
for source in /dev/zero /dev/urandom; do
    head -c 1000 "$source" > "$DIR/rubbish"
    put
done

# Cut short, and too long.
for keep in 1 8 31 32 33 100 $((size - 1)); do
    head -c "$keep" "$DIR/entry" > "$DIR/rubbish"
    put
done
{ cat "$DIR/entry"; printf x; } > "$DIR/rubbish"
put

# One byte of it another, wherever.
for at in 0 7 8 12 16 24 32 60 $((size - 1)); do
    {
        head -c "$at" "$DIR/entry"
        tail -c +$((at + 1)) "$DIR/entry" | head -c 1 | tr '\000-\377' '\001-\377\000'
        tail -c +$((at + 2)) "$DIR/entry"
    } > "$DIR/rubbish"
    put
done

# Whole, but of another page.
save "$other" "$DIR/rubbish"
put

# Not even a string.
redis cli del "$page" > /dev/null
redis cli lpush "$page" a b > /dev/null
gets /page MISS "GET /page #$((count + 1))"

gets /other HIT 'GET /other #1'
