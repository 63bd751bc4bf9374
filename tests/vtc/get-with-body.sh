# A GET with a body is passed: it neither gets an entry nor makes one.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

echo 'server.http-parseopts = ( "method-get-body" => "enable" )' > "$DIR/front.extra"
site routes='{ path = "/**"; ttl = "5m"; }'
gets '/page?sum=0' BYPASS 'GET /page?sum=0 #1' -X GET -d 'parameter=cloaked'
gets '/page?sum=0' MISS 'GET /page?sum=0 #2'
redis stored 1
gets '/page?sum=0' BYPASS 'GET /page?sum=0 #3' -X GET -d 'parameter=cloaked'
get '/sum?sum=1' -X GET -d 'parameter=cloaked'
is "what arrived" "$(cut -d ' ' -f 1 "$DIR/body")" 17
gets '/page?sum=0' HIT 'GET /page?sum=0 #2'
