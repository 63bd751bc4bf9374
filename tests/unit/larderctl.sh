#!/bin/sh
# larderctl as a script sees it: every command against a private redis-server, what it prints, what
# it leaves in Redis (asked by redis-cli, which shares no code with us), and its exit code.
#
# needs: redis-server redis-cli
#
# LARDERCTL names another program to test.

: "${top_builddir:=.}"
top_builddir=$(cd "$top_builddir" && pwd) || exit 99
ctl=${LARDERCTL:-$top_builddir/larderctl}
stand_in=$top_builddir/tests/unit/pool_stand_in

for tool in redis-server redis-cli; do
    command -v "$tool" > /dev/null || {
        echo "$tool is missing"
        exit 77
    }
done
for program in "$ctl" "$stand_in"; do
    [ -x "$program" ] || {
        echo "$program is not built"
        exit 99
    }
done

dir=$(mktemp -d "${TMPDIR:-/tmp}/ctl.XXXXXX") || exit 99
redis_pid=
pool_pids=
stop() {
    for pid in $pool_pids; do
        kill -KILL "$pid" 2> /dev/null
        wait "$pid" 2> /dev/null
    done
    pool_pids=
    if [ -n "$redis_pid" ]; then
        kill -CONT "$redis_pid" 2> /dev/null
        kill -KILL "$redis_pid" 2> /dev/null
        wait "$redis_pid" 2> /dev/null
    fi
    redis_pid=
}
trap 'stop; rm -rf "$dir"' EXIT
trap 'exit 99' HUP INT TERM
cd "$dir" || exit 99
unset LARDER_REDIS_PASSWORD

# ------------------------------------------------------------------------------------ the means

failures=0
checks=0

failed() {
    failures=$((failures + 1))
    echo "FAILED: $*"
}

# run ARGUMENT...: larderctl against the private Redis, reading $input; what it prints is in out and
# err, its exit code in $code.
input=
run() {
    "$ctl" --no-config --socket "$dir/redis" --runtime-dir "$dir/run" "$@" \
        < "${input:-/dev/null}" > out 2> err
    code=$?
}

# expect CODE ARGUMENT...
expect() {
    want=$1
    shift
    run "$@"
    checks=$((checks + 1))
    [ "$code" -eq "$want" ] || {
        failed "larderctl $*: exit code $code, expected $want"
        sed 's/^/    out: /' out
        sed 's/^/    err: /' err
    }
    last="larderctl $*"
}

out_is() {
    checks=$((checks + 1))
    [ "$(cat out)" = "$1" ] || failed "$last: printed '$(cat out)', expected '$1'"
}

out_has() {
    checks=$((checks + 1))
    grep -q -e "$1" out || failed "$last: '$1' is not in '$(cat out)'"
}

err_has() {
    checks=$((checks + 1))
    grep -q -e "$1" err || failed "$last: '$1' is not in the error '$(cat err)'"
}

err_is_empty() {
    checks=$((checks + 1))
    [ ! -s err ] || failed "$last: said '$(cat err)'"
}

redis() {
    redis-cli -s "$dir/redis" "$@"
}

# redis_is VALUE COMMAND...
redis_is() {
    want=$1
    shift
    checks=$((checks + 1))
    got=$(redis "$@")
    [ "$got" = "$want" ] || failed "after $last: redis $*: '$got', expected '$want'"
}

# lives KEY MIN MAX: for how many milliseconds
lives() {
    checks=$((checks + 1))
    life=$(redis pttl "larder:$1")
    if [ "$life" -lt "$2" ] || [ "$life" -gt "$3" ]; then
        failed "after $last: $1 lives for $life ms, expected $2 to $3"
    fi
}

# await SECONDS COMMAND...: until it succeeds
await() {
    tries=$(($1 * 50))
    shift
    until "$@" > /dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || return 1
        sleep 0.02
    done
}

start() {
    redis-server --port 0 --unixsocket "$dir/redis" --save '' --appendonly no --dir "$dir" \
        --loglevel warning > redis.log 2>&1 &
    redis_pid=$!
    await 10 redis ping || {
        cat redis.log
        echo "redis-server does not start"
        exit 99
    }
}

start

# ---------------------------------------------------------------------------------------- usage

expect 2
expect 2 no-such-command
err_has no-such-command
expect 2 get
err_has 'usage: larderctl get KEY'
expect 2 get a b
expect 2 get --no-such-option a
err_has '--no-such-option'
expect 2 get --ttl 5s a
expect 2 set a 1 --ttl
expect 2 set a 1 --ttl soon
expect 2 set a 1 --ttl 0
expect 2 set a 1 --ttl -5s
expect 2 --port 0 ping
expect 2 --port 65536 ping
expect 2 --port 12x ping
expect 2 --host here --socket there ping
expect 2 --config=x ping
err_has exclude
expect 2 ping --json=yes
expect 0 --help
out_has 'purge-pattern PATTERN'
out_has 'Exit codes'
err_is_empty
expect 0 --version
out_has '^larderctl [0-9]'
for command in get set del exists ttl expire incr keys lock unlock extend purge purge-pattern \
    purge-user flush stats status ping check-config help; do
    expect 0 "$command" -h
    out_has "^Usage: larderctl .* $command"
    out_has '^Example:'
    expect 0 help "$command"
    out_has "^Usage: larderctl .* $command"
done
expect 2 help no-such-command
# The password has no place on a command line.
expect 2 --password secret ping
redis_is 0 dbsize

# --------------------------------------------------------------------------------------- values

expect 0 set config:motd '{"text": "Hello", "n": [1, 2.5, null, true]}'
out_is stored
err_is_empty
redis_is '{"text":"Hello","n":[1,2.5,null,true]}' get larder:config:motd
expect 0 get config:motd
out_is '{"text":"Hello","n":[1,2.5,null,true]}'
expect 0 --quiet set q '"quiet"'
out_is ''
expect 0 -q get q
out_is '"quiet"'

expect 1 get nothing
out_is ''
err_has 'nothing: no such key'
expect 1 --quiet get nothing
err_is_empty

expect 0 set a null
redis_is null get larder:a
expect 0 get a
out_is null
expect 0 set a -5
expect 0 get a
out_is -5
printf '  {"from":\n "stdin"}\n' > value
input=value
expect 0 set a -
input=
redis_is '{"from":"stdin"}' get larder:a
expect 0 set --json a 1
out_is '{"key":"a","stored":true}'

# Keys that look like options, and any option after the command.
expect 0 set -- -k 1
redis_is 1 get larder:-k
expect 0 get --json --timeout 5s a
out_is 1

for good in 0 -0.5 1e999 18446744073709551615 -9223372036854775808 '"\\"' '["a\"1.","NaN"]' \
    '{"true":false,"e":[1E-5,null]}' '"\u0000"'; do
    expect 0 set good "$good"
    redis_is "$good" get larder:good
done

# What is not JSON never reaches Redis.
for bad in hello '{"a":}' '{"a":1' '[1,2' '1 2' '{} x' "{'a':1}" '' '"open' 'nul' 'NaN' '[Infinity]' \
    '1.' '[-]' '01' '[1,]' '[1e+]' '/**/1' '99999999999999999999' '{"n":-9223372036854775809}' \
    "$(printf '"a\nb"')" "$(printf '"\377"')"; do
    expect 4 set bad "$bad"
    err_has 'not JSON'
done
redis_is 0 exists larder:bad
redis set larder:corrupt 'not json' > /dev/null
expect 4 get corrupt
err_has 'raw'
out_is ''
expect 0 get --raw corrupt
out_is 'not json'

# Any bytes, unchanged in both directions.
i=0
while [ "$i" -lt 256 ]; do
    # The inner printf makes the octal that the outer one turns into a byte.
    # shellcheck disable=SC2059
    printf "\\$(printf %03o "$i")"
    i=$((i + 1))
done > bytes
cat bytes bytes bytes > raw
input=raw
expect 0 set --raw binary -
input=
redis_is 768 strlen larder:binary
expect 0 get --raw binary
checks=$((checks + 1))
cmp -s raw out || failed "bytes changed on their way through set --raw and get --raw"
: > empty
input=empty
expect 0 set --raw empty -
input=
redis_is 0 strlen larder:empty
redis_is 1 exists larder:empty
expect 0 get --raw empty
out_is ''
expect 0 set --raw text 'not json'
redis_is 'not json' get larder:text
expect 2 set --raw --if-absent text x

expect 0 set once 1 --if-absent --ttl 1m
expect 1 set once 2 --if-absent
redis_is 1 get larder:once
expect 1 --json set once 2 --if-absent
out_is '{"key":"once","stored":false}'

expect 0 exists a
out_is yes
expect 1 exists nothing
out_is no
expect 1 --json exists nothing
out_is '{"key":"nothing","exists":false}'
expect 0 -q exists a
out_is ''

expect 0 set t 1 --ttl 1h30m
out_is 'stored for 1h30m'
lives t 5390000 5400000
expect 0 ttl t
out_has '^1h\(29m\|30m\)$'
expect 0 ttl a
out_is never
expect 0 --json ttl a
out_is '{"key":"a","ttl_ms":null}'
expect 1 ttl nothing
expect 0 expire a 10s
lives a 5000 10000
expect 0 --json ttl a
out_has '"ttl_ms":[0-9]*}'
expect 1 expire nothing 10s
expect 2 expire a 0
expect 2 expire a never
expect 2 expire a -3s
redis_is 1 exists larder:a

expect 0 incr n
out_is 1
expect 0 incr n 41
out_is 42
expect 0 incr n -50
out_is -8
expect 0 --json incr n
out_is '{"key":"n","value":-7}'
expect 2 incr n many
expect 2 incr n 9223372036854775808
expect 4 incr corrupt
err_has redis
redis_is -7 get larder:n

expect 0 del a n nothing
out_is 'deleted 2 of 3'
redis_is 0 exists larder:a larder:n
expect 0 --json del a
out_is '{"deleted":0}'

# A list where a string should be.
redis rpush larder:list x > /dev/null
expect 4 get list
err_has WRONGTYPE

# ----------------------------------------------------------------------- namespaces, keys, globs

redis flushall > /dev/null
# A backslash is a character like others here.
# shellcheck disable=SC1003
odd='g[a]*?\'
for ns in one two; do
    expect 0 --namespace "$ns" set k "\"$ns\""
    expect 0 --namespace "$ns" set "$odd" 1
done
expect 0 --namespace one get k
out_is '"one"'
expect 0 --namespace two get k
out_is '"two"'
expect 0 --namespace one keys 'k*'
out_is k
expect 0 --namespace '' keys 'one:k'
out_is one:k
expect 0 --namespace one get "$odd"
out_is 1
expect 0 --namespace one keys "g\\[a\\]\\*\\?\\\\"
out_is "$odd"
expect 0 --namespace one del "$odd"
redis_is 1 exists "two:$odd"
expect 0 --database 1 --namespace one keys
out_is ''
expect 0 --namespace one purge-pattern 'k*'
out_is 'deleted 1 keys'
redis_is '"two"' get two:k
expect 0 --namespace one flush --yes
expect 2 --namespace '' flush --yes
err_has namespace
redis_is 1 exists two:k

redis flushall > /dev/null
printf 'set "larder:a\\nb" 1\r\nset "larder:c\\x1bd\\xff" 1\r\n' | redis > /dev/null
expect 0 keys -0 'a*'
checks=$((checks + 1))
printf 'a\nb\000' | cmp -s - out || failed "keys -0: the bytes of a key changed"
expect 0 keys --null 'c*'
checks=$((checks + 1))
printf 'c\033d\377\000' | cmp -s - out || failed "keys --null: the bytes of a key changed"
expect 0 --json keys 'a*'
out_is '["a\nb"]'
expect 0 --json keys 'c*'
out_is "$(printf '["c\\u001bd\357\277\275"]')"
expect 0 --json keys 'nothing*'
out_is '[]'
expect 2 --json keys -0

# --------------------------------------------------------------------------------------- purges

redis flushall > /dev/null
for key in session:1 session:2 session:user:42:list user:42 user:421 quota:user:42 template:x \
    other:1; do
    redis set "larder:$key" 1 > /dev/null
done
redis set neighbour:session:1 1 > /dev/null
expect 0 purge-pattern --dry-run 'session:*'
out_is '3 keys match; nothing was deleted'
expect 0 purge-pattern -n -v 'session:?'
out_has '^session:1$'
out_has '^session:2$'
err_has '2 keys match'
expect 0 --json purge-pattern --dry-run 'session:*'
out_is '{"pattern":"session:*","matched":3,"complete":true}'
expect 0 --json purge-pattern -nv 'session:1'
out_is '{"pattern":"session:1","keys":["session:1"],"matched":1}'
expect 2 purge-pattern -v 'session:*'
expect 0 purge-user --dry-run 42
out_is '3 keys match; nothing was deleted'
redis_is 9 dbsize

expect 0 purge-user 42
out_is 'deleted 3 keys'
redis_is 0 exists larder:user:42 larder:session:user:42:list larder:quota:user:42
redis_is 1 exists larder:user:421
expect 0 --json purge-pattern 'session:*'
out_is '{"pattern":"session:*","deleted":2,"complete":true}'
redis_is 1 exists neighbour:session:1
expect 0 purge-pattern 'nothing:*'
out_is 'deleted 0 keys'

# By tag and pattern, from here, since a Redis is named; URLs are the pool's.
redis set larder:gen:tag:a%20b x > /dev/null
redis set larder:gen:all x > /dev/null
redis set larder:session:3 1 > /dev/null
expect 0 purge --tag 'a b' --tag c
out_is 'purged 2 tags'
redis_is 0 exists 'larder:gen:tag:a%20b'
redis_is 1 exists larder:gen:all
expect 0 --json purge --soft --tag c --pattern 'session:*'
out_is '{"purged":{"tags":1,"patterns":1},"soft":true,"outcome":"done","deleted":1,"by":"redis"}'
redis_is 0 exists larder:session:3
expect 2 purge
err_has 'purge: what'
expect 2 purge --tag ''
expect 2 purge --group g
err_has 'belongs to an --origin'
for urls in '--url http://h/' '--prefix http://h/' '--group g --origin http://h' --stdin; do
    # The words of the options.
    # shellcheck disable=SC2086
    expect 3 purge --tag c $urls
    err_has 'needs the configuration of a running pool: they are for the pool, and a Redis'
done
expect 2 purge --all
err_has yes
redis_is 1 exists larder:gen:all
expect 0 purge --all --yes
out_is 'purged all responses'
redis_is 0 exists larder:gen:all

# What takes everything along asks, and where nobody can be asked it is refused.
for all in '*' '**' '?*'; do
    expect 2 purge-pattern "$all"
    err_has yes
done
expect 2 flush
expect 2 flush --server
expect 2 flush --server --dry-run --yes
redis_is 1 exists larder:other:1
expect 0 flush --dry-run
out_has 'nothing was deleted'
redis_is 1 exists larder:other:1
expect 0 purge-pattern --yes '*'
redis_is 0 exists larder:other:1 larder:user:421
redis_is 1 exists neighbour:session:1
redis set larder:k 1 > /dev/null
expect 0 flush --yes
redis_is 0 exists larder:k
redis_is 1 exists neighbour:session:1
redis -n 1 set elsewhere 1 > /dev/null
expect 0 flush --server --yes
redis_is 0 dbsize
redis_is 0 -n 1 dbsize

# A sweep that is interrupted stops, and says what it did.
redis eval 'for i = 1, 400000 do redis.call("SET", "larder:k:" .. i, "1") end' 0 > /dev/null
"$ctl" --no-config --socket "$dir/redis" purge-pattern 'k:*' > out 2> err &
sweep=$!
last='purge-pattern, interrupted'
started() {
    [ "$(redis dbsize)" -lt 400000 ]
}
await 20 started
# Redis stands still until the signal is there, so that the sweep cannot win.
kill -STOP "$redis_pid"
kill -TERM "$sweep"
kill -CONT "$redis_pid"
wait "$sweep"
code=$?
checks=$((checks + 1))
[ "$code" -eq 5 ] || failed "$last: exit code $code, expected 5: $(cat out err)"
err_has 'interrupted after [1-9][0-9]* keys'
# What was invalidated stays known.
left=$(($(redis dbsize) - $(redis exists larder:gen-news)))
gone=$(sed -n 's/.*after \([0-9]*\) keys.*/\1/p' err)
checks=$((checks + 1))
if [ "$left" -eq 0 ] || [ "$((left + ${gone:-0}))" -ne 400000 ]; then
    failed "$last: $left left, said $gone were deleted"
fi
redis flushall > /dev/null

# ---------------------------------------------------------------------------------------- locks

expect 0 lock nightly --ttl 30s
token=$(cat out)
checks=$((checks + 1))
expr "$token" : '[0-9a-f]\{32\}$' > /dev/null || failed "lock: '$token' is no token"
expect 1 lock nightly
err_has 'held by another'
out_is ''
expect 1 unlock nightly 0123456789abcdef0123456789abcdef
expect 1 extend nightly 0123456789abcdef0123456789abcdef
expect 0 extend nightly "$token" --ttl 2m
lives nightly 60000 120000
expect 0 unlock nightly "$token"
redis_is 0 exists larder:nightly
expect 1 unlock nightly "$token"
err_has 'not held'
expect 1 extend nightly "$token"
expect 0 --json lock nightly
out_has '{"key":"nightly","token":"[0-9a-f]*","ttl_ms":30000}'
redis del larder:nightly > /dev/null
expect 2 lock nightly --
expect 2 lock nightly --ttl 0 -- true

# With a command: held while it runs, its exit code, given back afterwards.
expect 7 lock nightly -- sh -c 'exit 7'
redis_is 0 exists larder:nightly
expect 0 lock nightly -- sh -c "echo --json; redis-cli -s '$dir/redis' exists larder:nightly" --ttl
out_is "$(printf -- '--json\n1')"
expect 137 lock nightly -- sh -c 'kill -KILL $$'
redis_is 0 exists larder:nightly
expect 127 lock nightly -- ./no-such-program
redis_is 0 exists larder:nightly
expect 126 lock nightly -- /
redis_is 0 exists larder:nightly
# It outlives its first life by far.
expect 0 lock nightly --ttl 1s -- \
    sh -c "sleep 2.5; redis-cli -s '$dir/redis' exists larder:nightly"
out_is 1
err_is_empty
# Held by another: the command does not run.
redis set larder:nightly other > /dev/null
expect 1 lock nightly -- touch ran
checks=$((checks + 1))
[ ! -e ran ] || failed "lock: the command ran without the lock"
redis del larder:nightly > /dev/null
# Lost: the command is ended.
cat > overslept << END
redis-cli -s '$dir/redis' set larder:nightly other > stolen
trap 'touch ended; exit 0' TERM
for i in 1 2 3 4 5 6 7 8 9; do sleep 1; done
END
expect 5 lock nightly --ttl 600ms -- sh overslept
err_has 'the lock is lost'
checks=$((checks + 1))
[ -e ended ] || failed "lock: a command whose lock was lost went on"
redis_is other get larder:nightly
redis del larder:nightly > /dev/null
expect 5 lock nightly --ttl 1m -- redis-cli -s "$dir/redis" del larder:nightly
err_has 'lost while the command ran'
# Signals are handed on, and the lock is given back all the same.
"$ctl" --no-config --socket "$dir/redis" lock nightly -- sleep 60 > out 2> err &
holder=$!
last='lock -- sleep, terminated'
held() {
    [ "$(redis exists larder:nightly)" = 1 ] && [ -n "$(ps -o pid= --ppid "$holder")" ]
}
if await 10 held; then
    kill -TERM "$holder"
    wait "$holder"
    code=$?
    checks=$((checks + 1))
    [ "$code" -eq 143 ] || failed "$last: exit code $code, expected 143: $(cat err)"
    redis_is 0 exists larder:nightly
else
    failed "$last: it does not start: $(cat err)"
    kill -KILL "$holder"
fi
# The command inherits neither the connection nor blocked signals.
expect 0 lock nightly -- sh -c 'ls -l /proc/self/fd; grep SigBlk /proc/self/status'
checks=$((checks + 1))
! grep -q socket: out || failed "lock: the command has the connection to Redis: $(cat out)"
out_has 'SigBlk:.0*$'

# ---------------------------------------------------------------------------- a terminal in front

if script -qec true /dev/null < /dev/null > /dev/null 2>&1; then
    # on_terminal CODE ANSWER ARGUMENT...
    on_terminal() {
        want=$1
        answer=$2
        shift 2
        last="on a terminal: larderctl $*"
        printf '%s\n' "$answer" |
            script -qec "'$ctl' --no-config --socket '$dir/redis' $*" /dev/null > out 2> err
        code=$?
        checks=$((checks + 1))
        [ "$code" -eq "$want" ] || failed "$last: exit code $code, expected $want: $(cat out)"
    }
    printf 'set "larder:a\\x1b[2Jb\\n\\\\" 1\r\n' | redis > /dev/null
    on_terminal 0 '' keys
    out_has 'a\\x1b\[2Jb\\x0a\\x5c'
    on_terminal 1 no flush
    out_has 'namespace "larder"'
    out_has 'nothing was done'
    redis_is 1 dbsize
    on_terminal 1 y flush
    redis_is 1 dbsize
    on_terminal 1 no "purge-pattern '*'"
    on_terminal 1 no "purge --all"
    out_has 'every stored response'
    on_terminal 1 no flush --server
    out_has 'every database'
    redis_is 1 dbsize
    on_terminal 0 yes flush
    redis_is larder:gen-news --raw keys '*'
fi

# ----------------------------------------------------------------------- configuration, passwords

cat > good.conf << END
upstream: { url = "http://127.0.0.1:1"; };
redis: { socket = "$dir/redis"; namespace = "fromfile"; };
END
cat > bad.conf << END
upstream: { url = "http://127.0.0.1:1"; };
redis: { sokket = "$dir/redis"; };
END
last='-f good.conf set'
"$ctl" -f good.conf set k 1 > out 2> err || failed "$last: $(cat err)"
redis_is 1 get fromfile:k
last='-f good.conf --namespace larder set'
"$ctl" -f good.conf --namespace larder set k 2 > out 2> err || failed "$last: $(cat err)"
redis_is 2 get larder:k
last='-f bad.conf get'
"$ctl" -f bad.conf get k > out 2> err
code=$?
checks=$((checks + 1))
[ "$code" -eq 2 ] || failed "$last: exit code $code, expected 2"
err_has 'bad.conf:2'
"$ctl" -f no-such.conf get k > out 2> err
code=$?
checks=$((checks + 1))
[ "$code" -eq 2 ] || failed "-f no-such.conf: exit code $code, expected 2"
expect 0 check-config good.conf
out_is 'good.conf: fine'
expect 1 check-config bad.conf
err_has 'bad.conf:2'
out_is ''
expect 1 --json check-config bad.conf
out_has '"fine":false,"error":"'
expect 1 check-config no-such.conf
err_has no-such.conf

# The token is for HTTP: no command but check-config opens its file. The password is for Redis: a command
# that asks the pool alone does not open that. The caller is never told to open either to its group.
cat > secrets.conf << EOF
upstream = { url = "http://127.0.0.1:1"; };
redis = { socket = "$dir/redis"; namespace = ""; };
admin = { token_file = "$dir/token"; };
responder = { runtime_dir = "$dir/run"; };
EOF
as_stranger() {
    checks=$((checks + 1))
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid 65534 --regid 65534 --clear-groups "$@" > out 2> err
    else
        "$@" > out 2> err
    fi
}
echo 0123456789abcdef > token
if [ "$(id -u)" = 0 ]; then chmod 600 token; else chmod 000 token; fi
chmod 755 "$dir" && chmod 777 redis
redis set k 1 > /dev/null
last='a stranger: get'
as_stranger "$ctl" -f secrets.conf get k || failed "$last: $(cat err)"
redis_is 1 get k
last='a stranger: check-config'
as_stranger "$ctl" -f secrets.conf check-config secrets.conf && failed "$last: fine"
err_has 'token: Permission denied for user [^;]*; run it as root or as the user of larder-fcgi$'
grep -q chgrp err && failed "$last: $(cat err)"
# Nor is the pool told to, where its group is that of the web server's scripts or of everything else.
if [ "$(id -u)" = 0 ]; then
    last='a stranger: larder-fcgi -t'
    as_stranger "$top_builddir/larder-fcgi" -t -f secrets.conf && failed "$last: fine"
    err_has 'other programs have its group [a-z]* too: run larder-fcgi as a user of its own'
fi
sed -i "s|namespace|password_file = \"$dir/token\"; user = \"u\"; &|" secrets.conf
last='a stranger: get, password_file'
as_stranger "$ctl" -f secrets.conf get k && failed "$last: succeeded"
err_has 'redis.password_file: .*run it as root or as the user of larder-fcgi$'
last='a stranger: status'
as_stranger "$ctl" -f secrets.conf status && failed "$last: succeeded"
grep -q 'token' err && failed "$last: $(cat err)"
mkdir closed && chmod 700 closed
sed -i "s|runtime_dir = .*/run|runtime_dir = \"$dir/closed|" secrets.conf
if [ "$(id -u)" = 0 ]; then
    as_stranger "$ctl" -f secrets.conf status && failed "$last: succeeded"
    err_has 'closed: Permission denied; run it as root or as the user of larder-fcgi$'
fi

redis config set requirepass 'pass word' > /dev/null
redis_auth() {
    redis --no-auth-warning -a 'pass word' "$@"
}
expect 4 get k
err_has NOAUTH
echo wrong > password
chmod 600 password
expect 4 --password-file password get k
err_has WRONGPASS
printf 'pass word\n' > password
expect 0 --password-file password get k
out_is 2
expect 0 --user default --password-file password get k
chmod 644 password
expect 2 --password-file password get k
err_has 'every user may read it'
expect 2 --password-file no-such-file get k
expect 2 --password-file empty get k
LARDER_REDIS_PASSWORD='pass word'
export LARDER_REDIS_PASSWORD
expect 0 get k
checks=$((checks + 1))
"$ctl" -f good.conf get k > out 2> err ||
    failed "the password from the environment does not go with a file: $(cat err)"
unset LARDER_REDIS_PASSWORD
redis_auth config set requirepass '' > /dev/null

# ----------------------------------------------------------------------------- Redis, pool: asked

expect 0 ping
out_has "^redis $dir/redis: answered in [0-9.]* ms"
expect 0 --json ping
out_has '"rtt_us":[0-9]'
# No pool runs here: what there is comes all the same, and the exit code tells.
expect 3 ping --pool
err_has "$dir/run"
expect 3 status
err_has "$dir/run"
expect 3 stats
out_has '^pool .*run'
out_has 'keyspace_hits'
expect 3 --json stats
out_has '"pool":{"error":"'
out_has '"processes":{"error":"'
out_has '"keyspace_hits":[0-9]'

mkdir -m 700 run
expect 3 status
grep -q 'token' err && failed "$last: $(cat err)"
# member [hang]: another process of the pool
member() {
    rm -f said
    "$stand_in" "$dir/run" "$@" > said 2>&1 &
    pool_pids="$pool_pids $!"
    await 10 grep -q ready said || failed "pool_stand_in does not start: $(cat said)"
}
member
member
first=${pool_pids# }
first=${first% *}
expect 0 ping --pool
out_has "^process $first: answers"
checks=$((checks + 1))
[ "$(wc -l < out)" -eq 2 ] || failed "$last: not two processes: $(cat out)"
expect 0 --json ping --pool
out_has "\"pid\":$first"
expect 0 status
out_has "^process $first"
out_has '^  up  *1h1m$'
out_has '^  workers  *4$'
out_has '^  redis\.hits  *6$'
out_has '^  config  *a\\x1b\[2Jb$'
expect 0 --json status
out_has '"redis":{"hits":6}'
expect 0 stats
out_has '^  requests  *20  '
out_has '^  hit ratio  *75\.0  '
out_has '^processes answering: 2 '
expect 0 --json stats
out_has '"processes":2,"counters":{"requests":20,"hits":12,'
# One that hangs is told of, and the others answer all the same.
member hang
expect 3 --timeout 300ms status
out_has "^process $first"
err_has '1 more did not answer'
expect 3 --timeout 300ms ping --pool
expect 3 --timeout 300ms stats
out_has '^processes answering: 2 of 3 '
# Without Redis the pool answers for itself.
expect 3 --timeout 300ms --socket "$dir/nowhere" stats
out_has '^  requests  *30  '
out_has "^redis: redis $dir/nowhere"

# ---------------------------------------------------------------------- an answer nobody can take

if [ -w /dev/full ]; then
    checks=$((checks + 1))
    "$ctl" --no-config --socket "$dir/redis" get k > /dev/full 2> err &&
        failed "get > /dev/full: said it went well"
    last='get > /dev/full'
    err_has 'cannot write'
fi

# ---------------------------------------------------------------------------- Redis hangs, is gone

kill -STOP "$redis_pid"
expect 3 --timeout 300ms get k
err_has 'redis'
expect 3 --timeout 300ms ping
kill -CONT "$redis_pid"
await 10 redis ping

stop
for command in 'get k' 'set k 1' 'del k' 'exists k' 'ttl k' 'expire k 1s' 'incr k' 'keys' 'lock k' \
    'unlock k t' 'extend k t' 'purge --tag x' 'purge --pattern x' 'purge-pattern x*' \
    'purge-user 42' 'flush --yes' 'flush --server --yes' 'ping' 'stats' 'lock k -- touch ran'; do
    # The words of the command.
    # shellcheck disable=SC2086
    expect 3 --timeout 2s $command
done
expect 3 --timeout 2s get k
err_has "redis $dir/redis"
[ ! -e ran ] || failed "lock: the command ran without Redis"
# What is wrong here is found before anything is connected to.
expect 4 set k 'not json'
expect 2 flush

echo "$checks checks, $failures failed"
[ "$failures" -eq 0 ]
