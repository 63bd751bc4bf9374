# What is gone stays gone, also where nobody can look whether it is stored, because Redis is away: it is dropped
# when Redis is back. So is what was found before Redis went.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site -n 1 cache='budget = "50ms";' routes='{ path = "/old/**"; ttl = "1s"; stale_if_error = "1h"; },
    { path = "/**"; ttl = "1h"; stale_if_error = "1h"; }'

entry_of() {
    "$LARDERCTL" -f "$DIR/larder.conf" explain "$url$1" | sed -n 's/^Key: *//p'
}
is_stored() {
    test "$(redis cli --raw EXISTS "$1")" -eq 1
}
is_dropped() {
    ! is_stored "$1"
}
# Each is there once, and what follows is in the query. Dropped: what is gone, what is another's page now,
# and what is stale of the rest; a refusal of the visitor leaves what is fresh.
gone='/page?status=404&after=1 /old/page?status=410&after=1 /old/page?status=403&after=1
    /page?h=Cache-Control:private&after=1 /page?status=302&h=Location:/login&after=1
    /page?status=404&h=Cache-Control:max-age%3D60&after=1'
kept='/page?status=403&after=1 /page?status=500&after=1 /page?status=400&after=1 /old/page?status=503&after=1
    /page?size=20000&after=1'
# So many are remembered (GONE_LATER_MAX), the newest.
forgotten='/forgotten?status=404&after=1'
late='/old/late?status=404&gate=late&after=1'
tongue='/tongue?status=404&after=3&h=Vary:Accept-Language'

backend open late
for target in $gone $kept $late $forgotten; do
    get "$target"
done
for language in de fr; do
    get "$tongue" -H "Accept-Language: $language"
done
redis stored 17
rm "$DIR/gates/late"
gone_entries=$(for target in $gone $late; do entry_of "$target"; done)
variants=$(redis entries | grep -v ':variants$')
for target in $gone $kept $late $forgotten; do
    variants=$(printf '%s\n' "$variants" | grep -vx "$(entry_of "$target")")
done
for entry in $gone_entries $variants; do
    is_stored "$entry" || fail "$entry is not stored"
done
sleep 1.1

# Looked up while Redis is there, answered when it is not.
for target in $late; do
    curl -sS -o /dev/null "$url$target" &
done
for target in $late; do
    backend saw GET "$target" 2
done
redis pause
get "$forgotten"
is "$forgotten while Redis is away: status" "$(status)" 404
curl -sS -o /dev/null "$url/none/[1-1024]?status=404"
for target in $gone $kept; do
    get "$target"
    is "$target while Redis is away: X-Cache" "$(field X-Cache)" MISS
done
get "$tongue" -H 'Accept-Language: de'
is "$tongue: status" "$(status)" 404
backend open late
wait
redis resume
for entry in $gone_entries $variants; do
    await is_dropped "$entry"
done
for target in $kept $forgotten; do
    is_stored "$(entry_of "$target")" || fail "$target was dropped"
done
backend stop
for target in $gone $late; do
    get "$target"
    is "$target without the backend: status" "$(status)" 502
done
for target in $kept $forgotten; do
    get "$target"
    is "$target without the backend: status" "$(status)" 200
done
