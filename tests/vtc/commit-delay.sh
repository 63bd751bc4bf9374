# A script that goes on behind the end of its answer, for as long as its route says: what it may change is
# dropped meanwhile, whatever became of the answer and of the process that had it in hand.
# needs: nginx redis-server redis-cli spawn-fcgi curl
. case

cat > "$DIR/front.extra" << 'END'
rewrite ^/short/(.*)$ /plain/$1 last;
rewrite ^/long/(.*)$ /late/$1 last;
rewrite ^/delayed/(.*)$ /plain/$1 last;
END
site -m nginx upstream='timeout = "1s"; connect_timeout = "200ms";' cache='mutation_max = "2s";' routes='
    { path = "/late/**"; methods = ["POST"]; tags = ["shop"]; commit_delay = "40s"; },
    { path = "/delayed/**"; methods = ["POST"]; tags = ["shop"]; commit_delay = "40s"; },
    { path = "/brief/**"; methods = ["POST"]; tags = ["shop"]; commit_delay = "7s"; },
    { path = "/page"; ttl = "1h"; tags = ["shop"]; },
    { path = "/**"; methods = ["POST"]; tags = ["shop"]; }'

# What is left of the hold, in ms: about so many.
left() {
    redis cli hget larder:gen-mutations =tag:shop | cut -d ' ' -f 4
}
is_held() {
    test -n "$(left)"
}
held() {
    await is_held
    left=$(left)
    test "$left" -gt "$2" && test "$left" -le "$3" || fail "$1: held for $left ms"
    redis cli del larder:gen-mutations > /dev/null
}
changed() {
    get /page
    test "$(cat "$DIR/body")" != "$was"
}

# It was answered: the delay. The URL that the web server has made of it counts as well, and the longer word.
for target in /late/a /delayed/a /long/a; do
    get "$target" -d ''
    is "$target: X-Cache-Invalidate" "$(field X-Cache-Invalidate)" done
    held "$target" 35000 40000
done
get /short/a -d ''
is "without a delay: held" "$(left)" ''

# It was not: the delay behind the time in which the backend may answer.
for how in 'status=504' 'gate=never' 'hangup=1'; do
    get "/late/b?$how" -d ''
    is "$how: X-Cache-Invalidate" "$(field X-Cache-Invalidate)" unknown
    held "$how" 43000 47800
done
curl -sS -o /dev/null -d '' "$url/late/b?size=200000&cut=70000" || true
held "cut off" 43000 47800
curl -sS -o /dev/null -d '' "$url/late/c?gate=killed" &
mutation=$!
backend saw POST '/late/c?gate=killed' 1
kill -9 $(pool pids)
wait "$mutation" || true
pool start -n 1
held "killed" 43000 47800

# The last change comes late.
get /brief/d -d ''
for again in 1 2; do
    await is_hit /page
    get /page
    was=$(cat "$DIR/body")
    await -t 5 changed
done

# Redis does not know of it: the journal says the same.
redis pause
curl -sS -o /dev/null -d '' "$url/late/e?gate=journal" &
mutation=$!
backend saw POST '/late/e?gate=journal' 1
kill -9 $(pool pids)
wait "$mutation" || true
redis resume
redis cli del larder:gen-mutations > /dev/null
pool start -n 1
held "in the journal" 43000 47800
