# A long body comes to all who wait for it while it is still being fetched; one that is larger than
# what is kept too.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case
. crowd

site -n 1 cache='max_object = "4M";' routes='{ path = "/**"; ttl = "1m"; }'
has() {
    test "$(wc -c < "$1")" -ge "$2"
}
stream() {
    name=$1 page=$2 enough=$3
    crowd "$name" 5 "$page"
    backend saw GET "$page" 1
    for i in 1 2 3 4 5; do
        await has "$DIR/$name.$i.body" "$enough"
    done
    # And one who comes in the middle has it from its beginning.
    crowd "$name-late" 1 "$page"
    await has "$DIR/$name-late.1.body" "$enough"
    backend only GET "$page" 1
    backend open "$name"
    gathered "$name"
    gathered "$name-late"
    backend only GET "$page" 1
    curl -sS -o "$DIR/straight" "$(backend url)$page"
    for body in "$DIR/$name".*.body "$DIR/$name-late.1.body"; do
        cmp "$DIR/straight" "$body"
    done
}

stream chunked '/chunked?size=3000000&framing=chunked&midgate=chunked' 1000000
redis stored 1
stream length '/length?size=3000000&midgate=length' 1000000
redis stored 2

# Beyond what is kept: those who read it have all of it, the next ones fetch by themselves.
stream large '/large?size=7000000&framing=chunked&midgate=large' 1000000
redis stored 3 # a mark
is "files left behind" "$(find "$DIR/run" -name 'spool*' | wc -l)" 0

# Its length says so: nobody waits for it, each has his own.
page='/told?size=9000000&gate=told'
crowd told 4 "$page"
backend saw GET "$page" 1
await waiting 3
backend open told
gathered told
backend only GET "$page" 4
redis stored 4
await waiting 0
