# -s makes the socket as it was told, takes over one that a dead process left, and not a living one's.
# needs: redis-server redis-cli curl
. case

# The manual's SYNOPSIS names what --help does, but for the abbreviations of options with a letter.
sed -n '/^.SH SYNOPSIS/,/^.SH DESCRIPTION/p' "$SRC/doc/larder-fcgi.8" | tr -d '\\' > "$DIR/synopsis"
"$LARDER_FCGI" --help | sed -n 's/^  *\(-[a-zA-Z]\), .*/\1/p; s/^       *\(--[a-z-]*\).*/\1/p' > "$DIR/offered"
test -s "$DIR/offered" || fail "--help offers nothing"
while read -r option; do
    grep -q -e "$option\b" "$DIR/synopsis" || fail "SYNOPSIS of larder-fcgi(8) lacks $option"
done < "$DIR/offered"

backend start
conf
start() {
    "$LARDER_FCGI" -f "$DIR/larder.conf" -s "$DIR/larder.sock" "$@" 2> "$DIR/log/stderr" &
    pid=$!
}

start --socket-mode 0660
await test -S "$DIR/larder.sock"
mode_is() {
    test "$(stat -c %a "$DIR/larder.sock")" = "$1"
}
await mode_is 660

# A second one does not push the first aside.
"$LARDER_FCGI" -f "$DIR/larder.conf" -s "$DIR/larder.sock" 2> "$DIR/log/second" &&
    fail "two on one socket"
grep -q "$DIR/larder.sock" "$DIR/log/second"
kill -0 "$pid"

kill -9 "$pid"
wait "$pid" || true
start --socket-mode 0600
await mode_is 600
kill -TERM "$pid"
wait "$pid" || fail "exit status $? on SIGTERM"
