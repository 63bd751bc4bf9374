# What may not be shared lets all who wait go at once, and the next ones do not wait at all.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case
. crowd

site -n 2 routes='{ path = "/**"; ttl = "1m"; }'

for forbidden in Cache-Control:no-store Cache-Control:private 'Vary:*' Set-Cookie:id%3d1; do
    name=$(echo "$forbidden" | tr -cd '[:alnum:]')
    page="/$name?gate=$name&h=$forbidden"
    # One of them is asked for, in another process perhaps; it lets the others go when its head comes.
    crowd "$name" 10 "$page"
    backend saw GET "$page" 1
    await waiting 9
    backend open "$name"
    gathered "$name"
    # What depends on anything is asked for again, by the first one for itself.
    requests=10
    [ "$forbidden" != 'Vary:*' ] || requests=11
    backend only GET "$page" $requests
    is "answers of $name" "$(said "$name" '^x-cache: miss')" 10
    # From now on nobody waits: all are at the backend at once.
    page="$page&more=1"
    rm -f "$DIR/gates/$name"
    crowd "$name" 2 "$page"
    await waiting 1
    backend open "$name"
    gathered "$name"
    rm -f "$DIR/gates/$name"
    marked() {
        redis cli --raw --scan --pattern '*response:*' | grep -q .
    }
    await marked
    crowd "$name" 8 "$page"
    backend saw GET "$page" 10
    backend open "$name"
    gathered "$name"
done
test "$(counter hit_for_miss)" -ge 20

# A mark is for what comes next as any miss is: a response that may be stored takes its place.
page='/sometimes?after=4&h=Cache-Control:no-store'
for _ in 1 2 3 4; do
    get "$page"
done
get "$page"

# An error is nobody's fault but the backend's: no mark.
page='/error?gate=error&status=503'
crowd error 5 "$page"
backend saw GET "$page" 1
await waiting 4
backend open error
gathered error
backend only GET "$page" 5
is "503" "$(said error '^HTTP.* 503')" 5
rm "$DIR/gates/error"
crowd error 5 "$page"
await waiting 4
backend open error
gathered error
