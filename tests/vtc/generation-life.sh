# What a visitor makes up costs Redis a key for no longer than a fetch may take, or for hit_for_miss; what
# is stored has a generation that lives as long as the entry, and not for months.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site upstream='connect_timeout = "1s"; timeout = "2s";' routes='{ path = "/**"; ttl = "1h"; }'
# That a response may not be stored is known for hit_for_miss, and a minute for queues and bodies.
known_s=$((300 + 60))

# lives URL-TARGET LEAST MOST: seconds that are left to its generation.
tag_of() {
    "$LARDERCTL" -f "$DIR/larder.conf" --json explain "$url$1" | grep -o 'url:[0-9a-f]*'
}
lives() {
    left=$(redis cli ttl "larder:gen:$(tag_of "$1")")
    test "$left" -ge "$2" -a "$left" -le "$3"
}

for i in 1 2 3; do
    get "/made-up?$i&h=Cache-Control:no-store"
    lives "/made-up?$i&h=Cache-Control:no-store" 1 $known_s || fail "never stored: $left s are left"
done
get /page
await is_hit /page
# The page may be used stale for ten minutes more.
await lives /page 4200 $((2 * 4260))
# A form that fails leaves it that, one that succeeds leaves nothing.
get '/made-up?1&h=Cache-Control:no-store' -d x
redis cli exists "larder:gen:$(tag_of '/made-up?1&h=Cache-Control:no-store')" | grep -q -x 0 ||
    fail "after a mutation there is a generation"
get '/other?status=404' -d x
redis cli exists "larder:gen:$(tag_of '/other?status=404')" | grep -q -x 0 ||
    fail "after a mutation that failed there is a generation"
get /short?h=Cache-Control:max-age=5
await is_hit /short?h=Cache-Control:max-age=5
lives /short?h=Cache-Control:max-age=5 5 $((2 * 665)) || fail "stored for 5 s: $left s are left"
