# {user} in an invalidation is that user, whatever characters the name has.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site upstream='trusted_fields = ["TheUser"];' routes='
    { path = "/mine"; ttl = "1m"; user = "field:TheUser"; resource = "mine"; },
    { path = "/mine/add"; user = "field:TheUser"; invalidate = ["mine:user:{user}:*"]; }'

as() {
    gets /mine "$2" "$3" -H "TheUser: $1"
}
as 4 MISS 'GET /mine #1'
as 42 MISS 'GET /mine #2'
as '*' MISS 'GET /mine #3'
redis stored 3

get /mine/add -d '' -H 'TheUser: 4'
is "status" "$(status)" 200
as 42 HIT 'GET /mine #2'
as '*' HIT 'GET /mine #3'
as 4 MISS 'GET /mine #4'
redis stored 3

get /mine/add -d '' -H 'TheUser: *'
as 4 HIT 'GET /mine #4'
as 42 HIT 'GET /mine #2'
as '*' MISS 'GET /mine #5'

# The URL of the mutation itself is nobody's any more (RFC 9111 section 4.4).
get /mine -d '' -H 'TheUser: 4'
as 4 MISS 'GET /mine #6'
as 42 MISS 'GET /mine #7'
