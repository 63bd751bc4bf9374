# Beside a mutation that is under way everything is used and stored; when it is answered, what it may have
# changed is gone, also what was fetched meanwhile; if it failed, nothing is.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site -n 2 routes='
    { path = "/items/{id}"; resource = "item"; ttl = "1m"; tags = ["item:{id}", "shop"];
      invalidate = ["list:*"]; },
    { path = "/lists/**"; resource = "list"; ttl = "1m"; tags = ["shop"]; },
    { path = "/**"; ttl = "1m"; }'

# Asked for until it is stored: the store follows the answer.
hit() {
    await is_hit "$1"
    get "$1"
    is "$1: X-Cache" "$(field X-Cache)" HIT
}
miss() {
    get "$1"
    is "$1 $2: X-Cache" "$(field X-Cache)" MISS
}
register() {
    redis cli hvals larder:gen-mutations
}
empty() {
    test "$(redis cli exists larder:gen-mutations)" -eq 0
}

hit /items/1
hit /lists/new
hit /other

# While it is under way: its URL, its tags, what its route drops.
curl -sS -o /dev/null -d '' "$url/items/1?gate=first" &
mutation=$!
backend saw POST '/items/1?gate=first' 1
for target in /items/1 /lists/new /lists/more; do
    hit "$target"
done
for tag in tag:item%3A1 tag:shop resource:list; do
    register | grep -qx "$tag" || fail "$tag is not registered: $(register)"
done
# What is being fetched may be from before the change.
curl -sS -o /dev/null "$url/lists/late?gate=late" &
fetch=$!
backend saw GET '/lists/late?gate=late' 1
backend open first
wait "$mutation"
for target in /items/1 /lists/new /lists/more; do
    miss "$target" "after it"
    hit "$target"
done
backend open late
wait "$fetch"
miss '/lists/late?gate=late' "begun before it"
await empty
hit /other

# What the backend does behind the head of its answer counts at the end of it.
curl -sS -N -o "$DIR/long" -D "$DIR/long.head" -d '' "$url/items/1?size=200000&midgate=behind" &
mutation=$!
await test -s "$DIR/long"
hit /items/1
hit /lists/new
register | grep -qx tag:shop || fail "it is registered no more: $(register)"
backend open behind
wait "$mutation"
miss /items/1 "after the end"
miss /lists/new "after the end"
await empty

# One that fails drops nothing.
hit /items/1
hit /lists/new
count=$(backend count GET /items/1)
for status in 400 401 403 404 409 500 503; do
    curl -sS -o /dev/null -D "$DIR/head" -d '' "$url/items/1?status=$status&gate=g$status" &
    mutation=$!
    backend saw POST "/items/1?status=$status&gate=g$status" 1
    hit /lists/new
    backend open "g$status"
    wait "$mutation"
    hit /items/1
    hit /lists/new
done
get '/items/1?status=403' -d ''
is "X-Cache-Invalidate of a 403" "$(field X-Cache-Invalidate)" ''
backend only GET /items/1 "$count"
await empty

# One that failed beside one that did not: dropped.
curl -sS -o /dev/null -d '' "$url/items/1?gate=good" &
first=$!
curl -sS -o /dev/null -d '' "$url/items/1?status=500&gate=bad" &
second=$!
backend saw POST '/items/1?gate=good' 1
backend saw POST '/items/1?status=500&gate=bad' 1
backend open good
wait "$first"
backend open bad
wait "$second"
miss /items/1 "after one of each"
