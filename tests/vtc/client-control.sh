# What the Cache-Control of a request may ask for is the route's to say.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

site routes='
    { path = "/limited/**"; ttl = "1m"; },
    { path = "/honour/**"; ttl = "1m"; client_control = "honour"; },
    { path = "/ignore/**"; ttl = "1m"; client_control = "ignore"; }'

# asks TARGET DIRECTIVES X-CACHE COUNT
asks() {
    gets "$1" "$3" "GET $1 #$4" -H "Cache-Control: $2"
}

# Fresh in the store, and old enough for what follows: the response says so itself.
fill() {
    gets "$1" MISS "GET $1 #1"
    redis stored "$2"
}
aged='page?h=Date:Tue,%2014%20Nov%202023%2022:13:20%20GMT'
fill "/limited/$aged" 1
fill "/honour/$aged" 2
fill "/ignore/$aged" 3

# Within a second of its arrival it is new enough for a reload, unless the route honours each.
gets /limited/new MISS 'GET /limited/new #1'
redis stored 4
asks /limited/new no-cache HIT 1
asks /limited/new max-age=0 HIT 1
gets /honour/new MISS 'GET /honour/new #1'
redis stored 5
asks /honour/new no-cache MISS 2
asks /honour/new no-cache MISS 3

sleep 1.1
asks "/limited/$aged" no-cache MISS 2
redis stored 5
# ... and the crowd behind it gets what that one brought.
await is_hit "/limited/$aged"
asks "/limited/$aged" no-cache HIT 2
asks "/limited/$aged" max-age=0 HIT 2

# The response is years old.
sleep 1.1
asks "/honour/$aged" max-age=60 MISS 2
asks "/ignore/$aged" max-age=60 HIT 1
asks "/ignore/$aged" no-cache HIT 1
asks "/honour/new" max-age=60 HIT 3
asks "/honour/new" min-fresh=50 HIT 3
asks "/honour/new" min-fresh=3600 MISS 4

# no-store: neither from the cache nor into it.
redis stored 5
asks /honour/new no-store BYPASS 5
is "Cache-Status" "$(field Cache-Status)" 'Larder; fwd=request; fwd-status=200; detail=no-store-in-request'
asks /honour/other no-store BYPASS 1
gets /honour/other MISS 'GET /honour/other #2'
redis stored 6
asks /ignore/new no-store MISS 1
redis stored 7
asks /ignore/new no-store HIT 1

# A stale one will do, where the client says so.
gets '/limited/short?h=Cache-Control:max-age=1' MISS 'GET /limited/short?h=Cache-Control:max-age=1 #1'
redis stored 8
sleep 1.2
asks '/limited/short?h=Cache-Control:max-age=1' max-stale=60 STALE 1
asks '/limited/short?h=Cache-Control:max-age=1' max-stale STALE 1
asks '/limited/short?h=Cache-Control:max-age=1' max-stale=0 MISS 2
