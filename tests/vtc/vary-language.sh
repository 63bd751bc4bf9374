# Accept-Language is reduced to what the backend has, where a route says what that is.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site routes='
    { path = "/site/**"; ttl = "5m"; languages = ["en", "de", "pt-BR"];
        fields = { forward = ["Accept-Language"]; }; },
    { path = "/**"; ttl = "5m"; fields = { forward = ["Accept-Language"]; }; }'

is_hit_with() {
    curl -s --max-time 20 -o /dev/null -D - "$@" | grep -q -i '^x-cache: hit'
}
# asks LANGUAGES X-CACHE BODY
asks() {
    gets "$page" "$2" "GET $page #$3" -H "Accept-Language: $1"
    test "$2" = HIT || await is_hit_with -H "Accept-Language: $1" "$url$page"
}
page='/site/page?h=Vary:Accept-Language'
asks 'de-AT,de;q=0.9,en;q=0.8' MISS 1
asks 'de' HIT 1
asks 'fr, de;q=0.3' HIT 1
asks 'en-GB,en;q=0.5' MISS 2
asks 'en' HIT 2
asks 'de;q=0, en;q=0.1' HIT 2
asks 'pt-br' MISS 3
asks 'fr' MISS 4
gets "$page" HIT "GET $page #4"
get '/site/page?echo=1' -H 'Accept-Language: de-AT,de;q=0.9,en;q=0.8'
is "what the backend saw" "$(sed -n 's/^Accept-Language: \(.*\)\r$/\1/p' "$DIR/body")" de

# Nobody knows what it has: as it came.
page='/page?h=Vary:Accept-Language'
asks 'de-AT,de;q=0.9,en;q=0.8' MISS 1
asks 'de' MISS 2
asks 'de-AT, de;q=0.9, en;q=0.8' HIT 1
get '/page?echo=1' -H 'Accept-Language: de-AT,de;q=0.9,en;q=0.8'
is "what the backend saw" "$(sed -n 's/^Accept-Language: \(.*\)\r$/\1/p' "$DIR/body")" \
    'de-AT,de;q=0.9,en;q=0.8'
