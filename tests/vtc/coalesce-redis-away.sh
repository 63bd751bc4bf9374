# Without Redis each process still asks for one at a time, and nobody gets what began before he came.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case
. crowd

backend start
conf cache='budget = "50ms";' routes='{ path = "/**"; ttl = "1m"; }'
pool start -n 1
front lighttpd-spawn-fcgi "$PORT1"

page='/page?gate=go'
crowd first 1 "$page"
backend saw GET "$page" 1
crowd next 20 "$page"
await waiting 20
backend open go
gathered first
gathered next
# Those who came while it was being fetched share the one after it.
backend only GET "$page" 2
all first "GET $page #1"
all next "GET $page #2"
is "hits" "$(said next '^x-cache: hit')" 19

# What may not be shared queues nobody.
page='/private?gate=private&h=Cache-Control:private'
crowd first 1 "$page"
backend saw GET "$page" 1
crowd private 5 "$page"
await waiting 5
backend open private
gathered first
gathered private
backend only GET "$page" 6
rm "$DIR/gates/private"
crowd private 5 "$page"
backend saw GET "$page" 11
backend open private
gathered private

# What Vary names is remembered without Redis as well: only the first answer is asked for twice.
page='/tongue?echo=1&h=Vary:Accept-Language'
for language in de fr de; do
    get "$page" -H "Accept-Language: $language"
    grep -q -i "^accept-language: $language" "$DIR/body" || fail "not in $language"
done
backend only GET "$page" 4
