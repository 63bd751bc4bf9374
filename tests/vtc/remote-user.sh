# A user whom the web server let in: passed, unless the route keeps entries per REMOTE_USER.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl
. case

cat > "$DIR/users" << END
anna:a
bert:b
END
cat > "$DIR/front.extra" << END
server.modules += ( "mod_auth", "mod_authn_file" )
auth.backend = "plain"
auth.backend.plain.userfile = "$DIR/users"
auth.require = ( "/" => ( "method" => "basic", "realm" => "r", "require" => "valid-user" ) )
END
site routes='
    { path = "/mine"; ttl = "1m"; user = "REMOTE_USER"; resource = "mine"; authorization = "rfc"; },
    { path = "/shared"; ttl = "1m"; }'

gets /shared BYPASS 'GET /shared #1' -u anna:a
gets /shared BYPASS 'GET /shared #2' -u anna:a
gets /mine MISS 'GET /mine #1' -u anna:a
gets /mine MISS 'GET /mine #2' -u bert:b
redis stored 2
gets /mine HIT 'GET /mine #1' -u anna:a
gets /mine HIT 'GET /mine #2' -u bert:b
redis entries | grep -q '^larder:mine:user:anna:response:'
