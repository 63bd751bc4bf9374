# compat = "ancestor": its keys and its JSON, both ways.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site redis='namespace = "";' cache='compat = "ancestor";' routes='{ path = "/**"; ttl = "5m"; }'
key_of() {
    echo "response:$(printf %s "$1" | sha256sum | cut -d ' ' -f 1)"
}

page='/page?a=1&h=X-Thing:kept'
gets "$page" MISS "GET $page #1"
redis stored 1
key=$(key_of "$page")
is "the key" "$(redis entries)" "$key"
redis cli --raw get "$key" > "$DIR/value"
grep -q '"status_code": *200' "$DIR/value"
grep -q '"X-Thing": *"kept"' "$DIR/value"
grep -q '"body": *"GET ' "$DIR/value"
gets "$page" HIT "GET $page #1"
is "X-Thing" "$(field X-Thing)" kept
ttl=$(redis cli ttl "$key")
test "$ttl" -gt 200 && test "$ttl" -le 300

# What the ancestor wrote is served.
redis cli set "$(key_of /theirs)" \
    '{"status_code":200,"headers":{"Content-Type":"text/x-theirs","X-A":"b"},"body":"from the ancestor"}' \
    > /dev/null
gets /theirs HIT 'from the ancestor'
is "Content-Type" "$(field Content-Type)" text/x-theirs
is "X-A" "$(field X-A)" b

# And what nobody wrote is not.
for value in '' '{' '[]' '{"status_code":200}' '{"status_code":"x","headers":{},"body":"b"}' \
    '{"status_code":200,"headers":{"X-A":"b\r\nSet-Cookie: c"},"body":"b"}' '"GET"'; do
    redis cli set "$(key_of /nonsense)" "$value" > /dev/null
    get /nonsense
    is "X-Cache with $value" "$(field X-Cache)" MISS
    # Stored over it: the next one must not be overtaken by that.
    await is_hit /nonsense
done

# What we would not have stored is not served: somebody's cookie, somebody's page, an error.
for value in '{"status_code":200,"headers":{"Set-Cookie":"session=theirs"},"body":"theirs"}' \
    '{"status_code":200,"headers":{"Cache-Control":"private"},"body":"theirs"}' \
    '{"status_code":200,"headers":{"Vary":"Cookie"},"body":"theirs"}' \
    '{"status_code":500,"headers":{},"body":"theirs"}' \
    '{"status_code":101,"headers":{},"body":"theirs"}'; do
    redis cli set "$(key_of /personal)" "$value" > /dev/null
    get /personal
    is "X-Cache with $value" "$(field X-Cache)" MISS
    await is_hit /personal
done

# What is about another connection goes no further.
redis cli set "$(key_of /hop)" \
    '{"status_code":200,"headers":{"Transfer-Encoding":"chunked","Connection":"X-B","X-B":"b"},"body":"whole"}' \
    > /dev/null
gets /hop HIT whole
is "X-B" "$(field X-B)" ''

# Bytes that are not UTF-8.
get '/bytes?size=256'
redis stored 6
curl -sS -o "$DIR/straight" "$(backend url)/bytes?size=256"
get '/bytes?size=256'
is "X-Cache" "$(field X-Cache)" HIT
cmp "$DIR/straight" "$DIR/body"

# Tags mean nothing to entries that hang on nothing.
get '/tagged?h=Cache-Tag:a'
redis stored 7
get '/tagged?h=Cache-Tag:a'
is "tagged: X-Cache" "$(field X-Cache)" HIT
