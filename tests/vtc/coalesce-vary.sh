# Each gets the variant that he selects, and each variant is fetched once.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case
. crowd

site -n 1 routes='{ path = "/**"; ttl = "1m"; fields = { forward = ["X-Kind"]; }; }'

for round in first second; do
    page="/$round?gate=$round&echo=1&h=Vary:X-Kind"
    crowd "lead-$round" 1 "$page" -H 'X-Kind: a'
    backend saw GET "$page" 1
    crowd "a-$round" 4 "$page" -H 'X-Kind: a'
    crowd "b-$round" 4 "$page" -H 'X-Kind: b'
    await waiting 8
    backend open "$round"
    gathered "lead-$round"
    gathered "a-$round"
    gathered "b-$round"
    backend only GET "$page" 2
    for i in 1 2 3 4; do
        grep -q -i '^x-kind: a' "$DIR/a-$round.$i.body"
        grep -q -i '^x-kind: b' "$DIR/b-$round.$i.body"
    done
done

# A user's own page is his, whoever is first.
conf routes='{ path = "/**"; ttl = "1m"; user = "cookie:id"; cookies = { key = ["id"]; }; }'
pool signal HUP
sleep 0.3
page='/mine?gate=mine&echo=1'
crowd ann 3 "$page" -b id=ann
crowd bob 3 "$page" -b id=bob
await waiting 4
backend open mine
gathered ann
gathered bob
backend only GET "$page" 2
for i in 1 2 3; do
    grep -q 'id=ann' "$DIR/ann.$i.body"
    grep -q 'id=bob' "$DIR/bob.$i.body"
done
