# larderctl purge: a process of the pool does it, and without one what Redis alone can do.
# needs: lighttpd redis-server redis-cli spawn-fcgi curl python3
. case

site -n 3 routes='
    { path = "/deep/**"; ttl = "5m"; directory_tags = 2; },
    { path = "/session/**"; ttl = "5m"; resource = "session"; },
    { path = "/**"; ttl = "5m"; tags = ["site"]; stale_while_revalidate = "1h"; }'
origin=http://127.0.0.1:$PORT1

# purge CODE [OPTION...]
purge() {
    wanted=$1
    shift
    code=0
    "$LARDERCTL" -f "$DIR/larder.conf" purge "$@" > "$DIR/out" 2> "$DIR/err" < "${input:-/dev/null}" ||
        code=$?
    is "purge $*: exit code ($(cat "$DIR/err"))" "$code" "$wanted"
}
says() {
    grep -q -F -e "$1" "$DIR/out" || fail "no '$1' in '$(cat "$DIR/out")'"
}
complains() {
    grep -q -F -e "$1" "$DIR/err" || fail "no '$1' in '$(cat "$DIR/err")'"
}
fill() {
    for page in "$@"; do
        get "$page"
        await is_hit "$page"
    done
}
from() {
    get "$2"
    is "$2: X-Cache" "$(field X-Cache)" "$1"
}

fill /a /b '/c?h=Surrogate-Key:x' '/d?h=Cache-Groups:%22g%22' /deep/1 /session/1
purge 0 --url "$origin/a"
is 'what it says' "$(cat "$DIR/out")" 'purged 1 url'
from MISS /a
from HIT /b
purge 0 --tag x --tag y --url "$origin/b" --json
says '{"purged":{"urls":1,"tags":2},"soft":false,"outcome":"done","by":"pool"}'
from MISS '/c?h=Surrogate-Key:x'
from MISS /b
purge 0 --group g --origin "$origin"
from MISS '/d?h=Cache-Groups:%22g%22'
purge 0 --prefix "$origin/deep/"
from MISS /deep/1
redis cli set larder:session:1 x
purge 0 --pattern 'session:*'
says 'deleted 2 keys'
from MISS /session/1
fill /a
purge 0 --soft --url "$origin/a"
from STALE /a

# All of it asks first.
fill /b
purge 2 --all
complains '--yes says it is meant'
from HIT /b
purge 0 --all --yes --json
says '"purged":{"all":true}'
from MISS /b

# A long list goes in batches, and once to one process.
for page in 1 2000 5000; do
    fill /page/$page
done
seq 5000 | sed "s|.*|$origin/page/&|" > "$DIR/urls"
input=$DIR/urls
purge 0 --stdin --json
input=
says '"urls":5000'
for page in 1 2000 5000; do
    from MISS /page/$page
done
logged=$(awk '/purge from the control socket: .* urls .*\/page\// { n += $9 } END { print n }' "$DIR/log/larder")
is "urls in the log" "$logged" 5000

# Mistakes: whose, and that nothing was done.
fill /a
purge 2
complains 'purge: what?'
purge 2 --group g
complains 'belongs to an --origin'
purge 2 --url "$origin/a" --url /b
complains '"/b" is relative'
purge 2 --url "$origin/a" --url ftp://a/
complains 'urls[1]: found "ftp://a/"'
purge 2 --prefix "$origin/"
complains 'expected 1 or more'
purge 2 --url "$origin/a" --tag "$(printf '\377')"
complains 'not UTF-8'
from HIT /a
# In the middle of a list: what was before it is done, and it says so.
{
    seq 1000 | sed "s|.*|$origin/page/&|"
    echo nonsense
} > "$DIR/urls"
input=$DIR/urls
purge 5 --stdin
input=
complains 'found "nonsense"'

# Redis is away: what the journal has is in force here.
redis stop
purge 6 --tag site
complains 'in force on this machine, and on others when Redis is back'
purge 6 --url "$origin/a" --json
says '"outcome":"journal","by":"pool"'
redis start

# Without a pool: tags, patterns and all, straight to Redis; no URLs.
pool signal TERM
alone() {
    ! "$LARDERCTL" -f "$DIR/larder.conf" ping --pool
}
await alone
redis cli set larder:gen:tag:site x
redis cli set larder:gen:all x
redis cli set larder:session:2 x
purge 3 --url "$origin/a"
complains 'no process answers: no socket of one is there'
purge 0 --tag site --json
says '{"purged":{"tags":1},"soft":false,"outcome":"done","by":"redis"}'
is "the tag's generation" "$(redis cli --raw exists larder:gen:tag:site)" 0
purge 0 --all --yes --pattern 'session:*'
is "what is left" "$(redis cli --raw exists larder:gen:all larder:session:2)" 0
# One that has just been started is waited for: `systemctl restart` returns before a process is there.
python3 -c "import socket; socket.socket(socket.AF_UNIX).bind('$DIR/run/larder.sock')"
begun=$(date +%s)
purge 3 --url "$origin/a"
[ $(($(date +%s) - begun)) -le 10 ] || fail "it waits for a pool that does not come"
sh -c 'sleep 0.3; exec pool start -n 1' &
purge 0 --url "$origin/a"
wait
pool term
rm "$DIR/run/larder.sock"
redis stop
purge 3 --timeout 2s --tag site
