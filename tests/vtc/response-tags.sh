# Tags that responses bring: used, removed, dropped by who names them, and proven not to have been
# dropped while the response was fetched.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site -n 2 routes='{ path = "/**"; ttl = "1m"; cookies = { ignore = ["*"]; }; }'

hit() {
    await is_hit "$1"
}
missed() {
    get "$1"
    is "$1 after $2: X-Cache" "$(field X-Cache)" MISS
}
# invalidate GROUPS [HOST]: an answer to POST that names them.
groups() {
    get "/change?h=Cache-Group-Invalidation:$1" -d '' -H "Host: ${2:-shop.example}"
    is "groups $1: X-Cache-Invalidate" "$(field X-Cache-Invalidate)" done
}

one='/one?h=Cache-Groups:%22a%22,%22b%20c%22&h=Surrogate-Key:x%20y&h=xkey:z&h=Cache-Tag:t1,t2'
two='/two?h=Cache-Groups:%22a%22'
get "$one"
is "Surrogate-Key" "$(field Surrogate-Key)$(field xkey)$(field Cache-Tag)" ''
is "Cache-Groups" "$(field Cache-Groups)" '"a","b c"'
for target in "$one" "$two"; do
    for host in shop.example other.example; do
        get "$target" -H "Host: $host"
        await sh -c "curl -s -o /dev/null -D - -H 'Host: $host' '$url$target' | grep -q 'X-Cache: HIT'"
    done
done
get "$one" -H 'Host: shop.example'
is "a hit's tags" "$(field Surrogate-Key)$(field xkey)$(field Cache-Tag)" ''
is "a hit's Cache-Groups" "$(field Cache-Groups)" '"a","b c"'
for tag in tag:x tag:y tag:z tag:t1 tag:t2; do
    is "generation of $tag" "$(redis cli exists "larder:gen:$tag")" 1
done

# Of one origin; a group is not a tag of that name, and not one of another's.
groups '%22x%22,%22nobody%22'
get "$one" -H 'Host: shop.example'
is "after another group: X-Cache" "$(field X-Cache)" HIT
groups '%22b%20c%22'
get "$one" -H 'Host: shop.example'
is "one: X-Cache" "$(field X-Cache)" MISS
get "$two" -H 'Host: shop.example'
is "two: X-Cache" "$(field X-Cache)" HIT
get "$one" -H 'Host: other.example'
is "one of the other origin: X-Cache" "$(field X-Cache)" HIT
groups '%22a%22'
get "$two" -H 'Host: shop.example'
is "two: X-Cache" "$(field X-Cache)" MISS
get "$two" -H 'Host: other.example'
is "two of the other origin: X-Cache" "$(field X-Cache)" HIT

# On an answer to a safe request the field says nothing.
get '/harmless?h=Cache-Group-Invalidation:%22a%22' -H 'Host: other.example'
get "$two" -H 'Host: other.example'
is "after a GET that names it: X-Cache" "$(field X-Cache)" HIT

# Invalidated while it is fetched: answered, not stored.
get '/slow?h=Cache-Groups:%22g%22&gate=go1' -H 'Host: shop.example' -o "$DIR/slow" -D "$DIR/slowhead" &
slow=$!
backend saw GET '/slow?h=Cache-Groups:%22g%22&gate=go1' 1
groups '%22g%22'
backend open go1
wait "$slow"
grep -q 'detail=invalidated' "$DIR/slowhead" || fail "$(cat "$DIR/slowhead")"
get '/slow?h=Cache-Groups:%22g%22&gate=go1' -H 'Host: shop.example'
is "asked again: X-Cache" "$(field X-Cache)" MISS

# Another one meanwhile does no harm.
get '/slow?h=Cache-Groups:%22g%22&gate=go2' -H 'Host: shop.example' -o "$DIR/slow" -D "$DIR/slowhead" &
slow=$!
backend saw GET '/slow?h=Cache-Groups:%22g%22&gate=go2' 1
groups '%22else%22'
backend open go2
wait "$slow"
await sh -c "curl -s -o /dev/null -D - -H 'Host: shop.example' '$url/slow?h=Cache-Groups:%22g%22&gate=go2' | grep -q 'X-Cache: HIT'"

# Too many to say all of them.
many=$(seq 65 | tr '\n' '+' | sed 's/+$//; s/+/%20/g')
get "/many?h=Surrogate-Key:$many"
case $(field Cache-Status) in
*'detail=tags'*) ;;
*) fail "65 tags: $(field Cache-Status)" ;;
esac

# Once a process has seen which tags a page has, it asks for them together with it.
for i in $(seq 20); do
    get "$two" -H 'Host: other.example'
    is "two of the other origin: X-Cache" "$(field X-Cache)" HIT
done
redis cli config resetstat
for i in $(seq 20); do
    get "$two" -H 'Host: other.example'
    is "two of the other origin: X-Cache" "$(field X-Cache)" HIT
done
is "round trips of 20 hits" "$(redis cli info commandstats | sed -n 's/^cmdstat_mget:calls=\([0-9]*\),.*/\1/p')" 20
