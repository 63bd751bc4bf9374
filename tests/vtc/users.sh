# Entries per user: nobody gets another's page, not by asking for it under another's name either.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site upstream='trusted_fields = ["AuthenticatedUser"];' routes='
    { path = "/cookie"; ttl = "1m"; user = "cookie:uid"; resource = "mine"; },
    { path = "/field"; ttl = "1m"; user = "field:X-User"; },
    { path = "/trusted"; ttl = "1m"; user = "field:AuthenticatedUser"; },
    { path = "/shared"; ttl = "1m"; }'

# Two users, each with their own.
gets /cookie MISS 'GET /cookie #1' -b 'uid=anna; sid=secret-of-anna'
gets /cookie MISS 'GET /cookie #2' -b 'uid=bert; sid=secret-of-bert'
redis stored 2
gets /cookie HIT 'GET /cookie #1' -b 'uid=anna; sid=secret-of-anna'
gets /cookie HIT 'GET /cookie #2' -b 'uid=bert; sid=secret-of-bert'
redis entries | grep -q '^larder:mine:user:anna:response:'

# Her name, not her session; her name alone; his session under her name.
gets /cookie MISS 'GET /cookie #3' -b 'uid=anna; sid=made-up'
gets /cookie MISS 'GET /cookie #4' -b 'uid=anna'
gets /cookie MISS 'GET /cookie #5' -b 'uid=anna; sid=secret-of-bert'
gets /cookie MISS 'GET /cookie #6' -b 'uid=anna; uid=bert; sid=secret-of-bert'
# Nobody: not the cache's business.
gets /cookie BYPASS 'GET /cookie #7'
redis stored 6

# A field is the client's word as well.
gets /field MISS 'GET /field #1' -H 'X-User: anna' -H 'Authorization: Bearer of-anna'
redis stored 7
gets /field HIT 'GET /field #1' -H 'X-User: anna' -H 'Authorization: Bearer of-anna'
gets /field MISS 'GET /field #2' -H 'X-User: anna' -H 'Authorization: Bearer of-bert'
gets /field MISS 'GET /field #3' -H 'X-User: anna'
redis stored 9

# One that the web server vouches for counts by itself.
gets /trusted MISS 'GET /trusted #1' -H 'AuthenticatedUser: anna'
redis stored 10
gets /trusted HIT 'GET /trusted #1' -H 'AuthenticatedUser: anna'

# A name with characters that mean something in a pattern names one user only.
gets /trusted MISS 'GET /trusted #2' -H 'AuthenticatedUser: *'
gets /trusted MISS 'GET /trusted #3' -H 'AuthenticatedUser: a:response:b'
redis stored 12
gets /trusted HIT 'GET /trusted #2' -H 'AuthenticatedUser: *'
gets /trusted HIT 'GET /trusted #1' -H 'AuthenticatedUser: anna'

# Behind lighttpd X_User is X-User: a request that names its user in both ways is refused.
get /field -H 'X_User: anna' -H 'X-User: bert'
is "a name beside another: status" "$(status)" 400
backend only GET /field 3
backend only GET /trusted 3

# Whom the web server vouches for has credentials: on a route for everybody they pass.
gets /shared BYPASS 'GET /shared #1' -H 'AuthenticatedUser: anna'
gets /shared MISS 'GET /shared #2'
