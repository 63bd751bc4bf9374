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

# What is put there is not served; the page is fetched and stored again, over it.
count=1
garbled() {
    count=$((count + 1))
    gets /page MISS "GET /page #$count"
    await is_hit /page
}
put() {
    redis cli -x set "$page" > /dev/null
    garbled
}

save "$page" "$DIR/entry"
size=$(wc -c < "$DIR/entry")

printf '' | put
printf 'rubbish' | put
printf 'LARDER1\n' | put
head -c 1000 /dev/zero | put
head -c 1000 /dev/urandom | put

# Cut short, at every length.
for keep in 1 8 31 32 33 100 $((size - 1)); do
    head -c "$keep" "$DIR/entry" | put
done
# Too long.
{ cat "$DIR/entry"; printf x; } | put
# One byte of it another, wherever.
for at in 0 7 8 12 16 24 32 60 $((size - 1)); do
    {
        head -c "$at" "$DIR/entry"
        tail -c +$((at + 1)) "$DIR/entry" | head -c 1 | tr '\000-\377' '\001-\377\000'
        tail -c +$((at + 2)) "$DIR/entry"
    } | put
done

# Whole, but of another page.
save "$other" "$DIR/other"
put < "$DIR/other"

# Not even a string.
redis cli del "$page" > /dev/null
redis cli lpush "$page" a b > /dev/null
count=$((count + 1))
gets /page MISS "GET /page #$count"

gets /other HIT 'GET /other #1'
