# Purges that are refused: each with its status and its words, and nothing is purged.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

token=0123456789abcdef
routes='{ path = "/deep/**"; ttl = "5m"; directory_tags = 2; },
    { path = "/shallow/**"; name = "the shallow ones"; ttl = "5m"; },
    { path = "/page"; ttl = "5m"; }'
site admin="token = \"$token\"; rate = 0;" routes="$routes"

# refused STATUS WORDS [CURL ARGUMENT...]; refused_at TARGET the same.
refusals=0
refused() {
    refused_at /.larder/purge "$@"
}
refused_at() {
    at=$1 wanted=$2 words=$3
    shift 3
    get "$at" "$@"
    refusals=$((refusals + 1))
    is "$*: status" "$(status)" "$wanted"
    grep -q -F '"ok":false,"error":"' "$DIR/body" || fail "$*: $(cat "$DIR/body")"
    grep -q -F -e "$words" "$DIR/body" || fail "$*: no '$words' in $(cat "$DIR/body")"
}
gets /page MISS 'GET /page #1'
await is_hit /page

# Who has no token, or another.
refused 401 'and none came' -d '{"all":true}'
is "WWW-Authenticate" "$(field WWW-Authenticate)" Bearer
refused 401 'and another one came' -d '{"all":true}' -H "Authorization: Bearer ${token}0"
refused 401 'and another one came' -d '{"all":true}' -H "Authorization: Bearer 0123456789abcde"
refused 401 'and none came' -d '{"all":true}' -H "Authorization: Basic $token"
refused 401 'and another one came' -d '{"all":true}' -H "X-Larder-Token: x$token"
refused 401 'and none came' -d '{"all":true}' -H 'Authorization: Bearer ' -H 'X-Larder-Token;'

# What else is asked of that path.
for method in GET HEAD PUT OPTIONS; do
    if [ $method = HEAD ]; then get /.larder/purge -I; else get /.larder/purge -X $method; fi
    is "$method: status" "$(status)" 405
    is "$method: Allow" "$(field Allow)" 'POST, DELETE, PURGE'
done

# JSON that says something else than was meant.
bad() {
    refused 400 "$2" -H "X-Larder-Token: $token" -H 'Content-Type: application/json' -d "$1"
}
bad '' 'found nothing, expected JSON'
bad '{"urls": ["/page"]' 'the JSON ends too early'
bad '{"urls": ["/page"]} x' 'no JSON: '
bad '["/page"]' 'found JSON without an object'
bad '{}' 'found nothing to purge'
bad '{"soft": true}' 'found nothing to purge'
bad '{"url": "/page", "sfot": true}' 'found \"sfot\", expected urls, prefixes, tags'
bad '{"urls": ["/page", 7]}' 'urls[1]: found an int, expected a string'
bad '{"urls": {"a": 1}}' 'urls: found an object, expected an array of strings'
bad '{"all": 1}' 'all: found an int, expected true or false'
bad '{"urls": ["/page", ""]}' 'urls[1]: found \"\": it is empty'
bad '{"urls": ["page"]}' 'urls[0]: found \"page\": expected http://HOST/PATH, https://HOST/PATH or /PATH'
bad '{"urls": ["//page"]}' 'expected http://HOST/PATH'
bad '{"urls": ["/page#part"]}' 'without a fragment'
bad '{"urls": ["/p\u00e4ge"]}' 'written as %XX'
bad '{"urls": ["http://a@b/"]}' 'expected the name of a host'
bad '{"urls": ["/a\u0000b"]}' 'found a control character'
bad '{"groups": ["a"], "origin": "http://a/b"}' 'expected http://HOST or https://HOST without a path'
bad '{"tags": ["'"$(printf '%0129d' 0)"'"]}' 'no tag is so long'
bad '{"patterns": ["a["]}' 'expected ] behind the ['
bad '{"patterns": ["*a*b*c*d*e*f*g*h*i*j*k*l*m*n*o*p*q*"]}' 'at most 256 bytes and 16 stars'
bad '{"prefix": "/deep"}' 'ends with /'
bad '{"prefix": "/deep/?a"}' 'without a query'
bad '{"prefix": "/deep/../deep/"}' 'in normal form'
bad '{"prefix": "/%64eep/"}' 'in normal form'
refused_at '/.larder/purge?x=1' 400 'found \"x\", expected urls' -X DELETE -H "X-Larder-Token: $token"
refused_at '/.larder/purge?url=/page&soft=yes' 400 'soft: found \"yes\", expected 1, true' \
    -X DELETE -H "X-Larder-Token: $token"
refused_at '/.larder/purge?url=/page' 400 'a body or a query, not both' \
    -H "X-Larder-Token: $token" -d '{"all":true}'
refused 415 'of the type application/json' -H "X-Larder-Token: $token" -d '{"url":"/page"}' \
    -H 'Content-Type: text/xml'
head -c 4194305 /dev/zero | tr '\0' ' ' > "$DIR/large"
refused 413 'at most 4 MiB' -H "X-Larder-Token: $token" --data-binary "@$DIR/large"

# A directory below which a page may be kept without being found.
conflict() {
    refused 409 "$2" -H "X-Larder-Token: $token" -d "{\"prefix\": \"$1\"}"
}
conflict /shallow/ 'the route \"the shallow ones\" could not be found by it: that route has directory_tags = 0, expected 2 or more'
conflict /deep/er/ 'the route \"/deep/**\" could not be found by it: that route has directory_tags = 2, expected 3 or more'
conflict / 'expected 1 or more'
get /.larder/purge -H "X-Larder-Token: $token" -d '{"prefix": "/deep/"}'
is "/deep/: status" "$(status)" 200
get /.larder/purge -H "X-Larder-Token: $token" -d '{"prefix": "/page/"}'
is "/page/, which no route can match below: status" "$(status)" 200

gets /page HIT 'GET /page #1'
is "what reached the backend" "$(grep -c 'larder/purge' "$DIR/log/requests")" 0
grep -q 'warning: purge from 127.0.0.1 refused with 401: expected the token' "$DIR/log/larder" ||
    fail "not in the log"
lines=$(grep -c 'refused with' "$DIR/log/larder")
test "$lines" -lt 20 || fail "$lines lines for refused purges"
counted() {
    "$LARDERCTL" -f "$DIR/larder.conf" --json stats | grep -q "\"purges_refused\": *$refusals,"
}
await counted

# again ADMIN: with another configuration.
again() {
    conf admin="$1" upstream="$2" routes="$routes"
    lines=$(grep -c 'read again' "$DIR/log/larder" || true)
    pool signal HUP
    await sh -c "test \$(grep -c 'read again' '$DIR/log/larder') -gt $lines"
}

# Too often with a wrong one; the right one has no limit (purge-token.sh).
again "token = \"$token\"; rate = 3;"
for _ in 1 2 3; do
    refused 401 'and none came' -d '{"all":true}'
done
refused 429 'too many wrong tokens from this address' -d '{"all":true}'
retry=$(field Retry-After)
test "$retry" -gt 10 && test "$retry" -le 20 || fail "Retry-After: $retry"
refused 400 'found nothing to purge' -H "X-Larder-Token: $token" -d '{}'
gets /page HIT 'GET /page #1'

# From elsewhere: the peer counts, and what a proxy says only if it is one of ours.
again "token = \"$token\"; rate = 0; allow = [\"192.0.2.0/24\", \"::1\"];"
refused 403 'no purges from this address' -H "X-Larder-Token: $token" -d '{"url":"/page"}'
refused 403 'no purges from this address' -H "X-Larder-Token: $token" -d '{"url":"/page"}' \
    -H 'X-Forwarded-For: 192.0.2.1'
again "token = \"$token\"; rate = 0; allow = [\"192.0.2.0/24\"];" 'trusted_proxies = ["127.0.0.1", "10.0.0.0/8"];'
for said in '192.0.2.1, 198.51.100.1' '198.51.100.1, 10.0.0.1' '192.0.2.1, nonsense' '10.1.1.1'; do
    refused 403 'no purges from this address' -H "X-Larder-Token: $token" -d '{"url":"/page"}' \
        -H "X-Forwarded-For: $said"
done
gets /page HIT 'GET /page #1'
get /.larder/purge -H "X-Larder-Token: $token" -d '{"url":"/page"}' \
    -H 'X-Forwarded-For: 198.51.100.1, 192.0.2.1, 10.0.0.1'
is "status" "$(status)" 200
gets /page MISS 'GET /page #2'
grep -q 'purge from 192.0.2.1: ' "$DIR/log/larder" || fail "the client's address is not in the log"

# Without a token in the configuration it is off, and not the backend's either.
again ''
refused 404 'purging is off' -H 'Authorization: Bearer ' -d '{"all":true}'
is "what reached the backend" "$(grep -c 'larder/purge' "$DIR/log/requests")" 0
