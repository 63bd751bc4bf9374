# The first example of larder(3), as it stands there: it compiles, remembers what it loaded, and does
# without a Redis that is away.
# needs: cc pkg-config redis-server redis-cli
. case

# The first of EXAMPLES, with the manual's markup taken out.
sed -n '/^\.Sh EXAMPLES/,/^\.Ed/p' "$SRC/doc/larder.3" | sed -e '1,/^\.Bd/d' -e '/^\.Ed/d' -e 's/\\e/\\/g' |
    sed "s|options.host = \"127.0.0.1\"|options.unix_path = \"$DIR/redis.sock\"|" > "$DIR/program.c"
grep -q "$DIR/redis.sock" "$DIR/program.c" || fail "the example does not say where Redis is"
# shellcheck disable=SC2046
cc -Wall -Wextra -Werror -o "$DIR/program" "$DIR/program.c" -I"$SRC/include" -L"$BUILD/.libs" -llarder \
    $(pkg-config --cflags --libs json-c) || fail "it does not compile: $(cat "$DIR/program.c")"
program() {
    LD_LIBRARY_PATH=$BUILD/.libs "$DIR/program" > "$DIR/out" 2> "$DIR/err" || fail "exit code $?: $(cat "$DIR/err")"
    is "what it prints" "$(tr -d ' ' < "$DIR/out")" '{"name":"blank"}'
}
redis start
program
is "the first time" "$(cat "$DIR/err")" "blank is loaded"
program
is "the second time" "$(cat "$DIR/err")" ""
redis stop
program
grep -q 'redis .*: ' "$DIR/err" || fail "without Redis: $(cat "$DIR/err")"
