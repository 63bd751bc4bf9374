# What a mutation may make stale is neither used nor stored while the backend works; then it is dropped,
# or, if the mutation failed, as it was.
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
detail() {
    field Cache-Status | sed -n 's/.*detail=\([a-z-]*\).*/\1/p'
}

hit /items/1
hit /lists/new
hit /other

# While it is under way: its URL, its tags, what its route drops.
curl -sS -o /dev/null -d '' "$url/items/1?gate=first" &
mutation=$!
backend saw POST '/items/1?gate=first' 1
for target in /items/1 /lists/new /lists/more; do
    for again in 1 2; do
        get "$target"
        is "$target meanwhile: X-Cache" "$(field X-Cache)" MISS
        is "$target meanwhile: detail" "$(detail)" changing
    done
done
hit /other
case $(redis cli get larder:gen:tag:shop) in
M0\ ????????????????????????????????:*\ ????????????????:*) ;;
*) fail "the tag is $(redis cli get larder:gen:tag:shop), not marked" ;;
esac
backend open first
wait "$mutation"
is "the tag afterwards" "$(redis cli exists larder:gen:tag:shop)" 0
hit /items/1
hit /lists/new

# Two at once: the first to end does not end the other's mark.
curl -sS -o /dev/null -d '' "$url/items/1?gate=a" &
first=$!
curl -sS -o /dev/null -d '' "$url/items/2?gate=b" &
second=$!
backend saw POST '/items/1?gate=a' 1
backend saw POST '/items/2?gate=b' 1
backend open a
wait "$first"
get /lists/new
is "beside the second: detail" "$(detail)" changing
backend open b
wait "$second"
hit /lists/new

# One that fails drops nothing, and is marked all the same while it lasts.
hit /items/1
count=$(backend count GET /items/1)
for status in 400 403 404 409 500 503; do
    curl -sS -o /dev/null -D "$DIR/head" -d '' "$url/items/1?status=$status&gate=g$status" &
    mutation=$!
    backend saw POST "/items/1?status=$status&gate=g$status" 1
    get /lists/new
    is "beside a $status: detail" "$(detail)" changing
    backend open "g$status"
    wait "$mutation"
    is "X-Cache-Invalidate of a $status" "$(field X-Cache-Invalidate)" ''
    get /items/1
    is "after a $status: X-Cache" "$(field X-Cache)" HIT
    get /lists/new
    is "after a $status: X-Cache" "$(field X-Cache)" HIT
done
backend only GET /items/1 "$count"

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
get /items/1
is "after one of each: X-Cache" "$(field X-Cache)" MISS
