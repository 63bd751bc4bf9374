# A URL that the web server rewrites, for a backend that speaks HTTP, has two routes, and nobody gets by one
# of them what the other keeps from them: what either passes, withholds, keys, forbids or drops counts.
# needs: nginx redis-server redis-cli curl
# time: 60
. case

redis start
backend start
# By /blog/ comes what the lax route answers; /lax/ is the same the other way round.
conf upstream='' responder='workers = 1; max_fetchers = 4;' routes='
    { path = "/articles/bypass/**"; ttl = "1h"; cookies = { bypass = ["session"]; ignore = ["*"]; };
      fields = { bypass = ["x-f-pass"]; }; query = { bypass = ["preview"]; }; },
    { path = "/articles/silent/**"; ttl = "1h"; },
    { path = "/articles/key/**"; ttl = "1h"; cookies = { key = ["tier"]; ignore = ["*"]; };
      fields = { key = ["x-f-key"]; }; },
    { path = "/articles/user/**"; ttl = "1h"; user = "cookie:who"; cookies = { key = ["who"]; ignore = ["*"]; }; },
    { path = "/articles/brief/**"; ttl = "1s"; cookies = { ignore = ["*"]; }; client_cache = "5s"; },
    { path = "/articles/tagged/{id}"; ttl = "1h"; resource = "articles"; tags = ["articles", "article-{id}"];
      invalidate = ["articles:*"]; cookies = { ignore = ["*"]; }; },
    { path = "/articles/members/**"; ttl = "1h"; tags = ["articles"]; refused_location = ["*/login"];
      cookies = { ignore = ["*"]; }; },
    { path = "/articles/saves/**"; ttl = "1h"; tags = ["articles"]; change_answer = ["X-Saved"];
      cookies = { ignore = ["*"]; }; },
    { path = "/articles/many/**"; ttl = "1h"; tags = ["a", "b", "c", "d", "e", "f", "g", "h"]; directory_tags = 8; },
    { path = "/blog/many/**"; ttl = "1h"; tags = ["i", "j", "k", "l", "m", "n", "o", "p"]; directory_tags = 8; },
    { path = "/articles/posts/**"; methods = ["POST"]; tags = ["blog"]; },
    { path = "/blog/saves/**"; ttl = "1h"; tags = ["blog"]; cookies = { ignore = ["*"]; }; },
    { path = "/blog/late/**"; ttl = "1h"; tags = ["blog"]; invalidate = ["blog:*"]; async = true;
      cookies = { ignore = ["*"]; }; },
    { path = "/**"; ttl = "1h"; set_cookie = "strip"; client_cache = "1h"; cookies = { ignore = ["*"]; };
      fields = { forward = ["x-f-*"]; }; query = { ignore = ["utm_*"]; }; }'
pool start -n 1
cat > "$DIR/front.extra" << 'END'
rewrite ^/blog/(.*)$ /articles/$1 last;
rewrite ^/lax/([^/]*)/(.*)$ /plain/$2 last;
rewrite ^/articles/lax/(.*)$ /plain/$1 last;
rewrite ^/articles/(bypass|key|silent|members)/lax/(.*)$ /plain/$2 last;
END
front nginx "$PORT1"

passes() {
    get "$@"
    is "$*: X-Cache" "$(field X-Cache)" BYPASS
}
misses() {
    get "$@"
    is "$*: X-Cache" "$(field X-Cache)" MISS
}
was_hit() {
    get "$@"
    test "$(field X-Cache)" = HIT
}
# stores TARGET [CURL ARGUMENT...]: as asked so, nobody has seen it before.
stores() {
    misses "$@"
    await was_hit "$@"
}
sends() {
    grep -q -i -x "$1.*" "$DIR/body" || fail "the backend got no '$1': $(cat "$DIR/body")"
}
lacks() {
    ! grep -q -i "^$1" "$DIR/body" || fail "the backend got '$1': $(cat "$DIR/body")"
}

# Who is passed by either URL's route is passed; all others share.
for page in /blog/bypass/1 /articles/bypass/lax/1; do
    stores $page
    passes $page -b session=me
    passes $page -H 'X-F-Pass: 1'
    passes "$page?preview=1"
    was_hit $page -b other=1 || fail "$page: not for everybody"
done
for page in /blog/silent/1 /articles/silent/lax/1; do
    stores $page
    passes $page -b any=1
done

# What is in the key by either, is.
for page in '/blog/key/1?echo=1' '/articles/key/lax/1?echo=1'; do
    stores "$page"
    stores "$page" -b 'tier=gold; other=1'
    sends 'cookie: tier=gold'
    lacks 'cookie: .*other'
    stores "$page" -b 'tier=iron'
    stores "$page" -H 'X-F-Key: 1'
    sends 'x-f-key: 1'
    stores "$page" -H 'X-F-Key: 2'
done
# What is sent at the operator's risk is, if both take it.
stores '/blog/silent/2?echo=1' -H 'X-F-Else: 1'
lacks x-f-else
stores '/lax/a/2?echo=1' -H 'X-F-Else: 1'
sends 'x-f-else: 1'
# A parameter is left out if both leave it out.
stores '/blog/silent/3?utm_a=1'
grep -q 'utm_a=1' "$DIR/body" || fail "left out: $(cat "$DIR/body")"
misses '/blog/silent/3?utm_a=2'
stores '/lax/a/3?utm_a=1'
was_hit '/lax/a/3?utm_a=2' || fail "not left out by both"
# One of them has the user in the key, and the other's has not.
passes /blog/user/1 -b who=me
passes /blog/user/1

# It is stored if both would store it, for the shorter time, and browsers are told that too.
misses '/blog/silent/4?h=Set-Cookie:a=b'
misses '/blog/silent/4?h=Set-Cookie:a=b'
stores '/lax/a/4?h=Set-Cookie:a=b'
misses /blog/brief/1
is "client_cache" "$(field Cache-Control)" 'public, max-age=5'
was_old() {
    get /blog/brief/1
    test "$(field X-Cache)" = MISS || test "$(field X-Cache)" = STALE
}
await was_old

# By the tags of either it is dropped, and what changes something drops what either names.
stores /articles/tagged/2
stores /blog/tagged/1
for by in 'purge --tag=articles' 'purge --tag=article-1' 'purge-pattern articles:*'; do
    set -f
    "$LARDERCTL" -f "$DIR/larder.conf" $by > "$DIR/purged"
    set +f
    misses /blog/tagged/1
    await was_hit /blog/tagged/1
done
get /articles/tagged/2
await was_hit /articles/tagged/2
changes() {
    was_hit /articles/tagged/2 || fail "no hit before $*"
    get "$@" -d x
    is "$*: X-Cache-Invalidate" "$(field X-Cache-Invalidate)" 'done'
}
changes /blog/tagged/1
misses /articles/tagged/2
await was_hit /articles/tagged/2
# By its own answers, though: one that is refused by the one route is no change by that.
changes '/blog/members/1?status=302&h=Location:/login'
was_hit /articles/tagged/2 || fail "a refusal dropped it"
changes '/articles/members/lax/1?status=302&h=Location:/login'
was_hit /articles/tagged/2 || fail "a refusal of the visitor's URL dropped it"
changes '/blog/saves/1'
was_hit /articles/tagged/2 || fail "what is no change dropped it"
changes '/blog/saves/1?h=X-Saved:1'
misses /articles/tagged/2
await was_hit /articles/tagged/2
stores /blog/saves/3
changes /blog/saves/1
misses /blog/saves/3
await was_hit /blog/saves/3
changes /blog/posts/1
misses /blog/saves/3
# What waits for nobody does so by both.
await was_hit /blog/saves/3
changes /blog/late/1
misses /blog/saves/3
# More tags than an entry has room for.
stores /blog/many/a/b/c/d/e/f/g/h
passes '/blog/many/a%2Fb/c;d/e/f/g/h/i/j'
field Cache-Status | grep -q 'detail=tags' || fail "not for its tags: $(field Cache-Status)"

# explain tells both.
explains() {
    "$LARDERCTL" -f "$DIR/larder.conf" explain "$@" > "$DIR/explained"
    grep -q 'that of the rewritten URL: /articles/bypass/\*\*' "$DIR/explained" ||
        fail "explain $*: $(cat "$DIR/explained")"
}
stores /blog/bypass/9
explains "$url/blog/bypass/9"
grep -q '^Next: *HIT' "$DIR/explained" || fail "no hit: $(cat "$DIR/explained")"
explains "$url/blog/bypass/9" --rewritten /articles/bypass/9 -H 'Cookie: session=me'
grep -q '^Next: *BYPASS (cookie-in-request)' "$DIR/explained" || fail "not passed: $(cat "$DIR/explained")"
