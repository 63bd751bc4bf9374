# What larder-fcgi says of itself and of its configuration, and what it refuses, at once.
# needs: spawn-fcgi
. case

version=$("$LARDER_FCGI" -V)
case $version in
*0.1.0*) ;;
*) fail "-V says '$version'" ;;
esac
"$LARDER_FCGI" --help > "$DIR/help"
for option in -f -t -V -v -s --socket-mode --socket-owner --help; do
    grep -q -e "$option" "$DIR/help" || fail "--help does not mention $option"
done
if "$LARDER_FCGI" --no-such-option > "$DIR/out" 2>&1; then
    fail "an unknown option was taken"
fi

# A Redis that cannot be reached is no reason to wait, nor to refuse.
conf url=http://192.0.2.1:80 store='host = "192.0.2.1";' routes='{ path = "/**"; ttl = "1m"; }'
"$LARDER_FCGI" -t -f "$DIR/larder.conf" > "$DIR/out" 2>&1 || fail "a good one was refused: $(cat "$DIR/out")"

# The ones that are shipped are good.
for file in larder.conf larder-streamspace.conf; do
    "$LARDER_FCGI" -t -f "$SRC/etc/$file" > "$DIR/out" 2>&1 || fail "$file: $(cat "$DIR/out")"
done

sanitized=false
if ldd "$LARDER_FCGI" | grep -q -e libasan -e libubsan -e libtsan; then
    sanitized=true
fi

# refused WORDS: the configuration on standard input, with words that say why, and where.
refused() {
    cat > "$DIR/bad.conf"
    if "$LARDER_FCGI" -t -f "$DIR/bad.conf" > "$DIR/out" 2>&1; then
        fail "-t took $(cat "$DIR/bad.conf")"
    fi
    grep -q -e "$1" "$DIR/out" || fail "'$(cat "$DIR/out")' does not say '$1'"
    grep -q "bad.conf" "$DIR/out" || fail "'$(cat "$DIR/out")' does not say where"
    if "$sanitized"; then
        # Its start alone can take the 100 ms: only that it ends, and how.
        if timeout 10 "$LARDER_FCGI" -s "$DIR/bad.sock" -f "$DIR/bad.conf" > "$DIR/out" 2>&1; then
            fail "a bad configuration was started with"
        else
            is "exit status" "$?" 1
        fi
        return
    fi
    # spawn-fcgi believes after 100 ms that all is well.
    if spawn-fcgi -s "$DIR/bad.sock" -- "$LARDER_FCGI" -f "$DIR/bad.conf" > "$DIR/out" 2>&1; then
        fail "spawn-fcgi did not notice"
    fi
}

refused 'bad.conf:2' << 'END'
upstream = { url = "http://127.0.0.1:1"; };
upstrem = { };
END
refused 'ttl' << 'END'
upstream = { url = "http://127.0.0.1:1"; };
routes = ( { path = "/**"; ttll = "1m"; } );
END
refused 'bad.conf:3' << 'END'
upstream = {
    url = "http://127.0.0.1:1";
    timeout = "60 s";
};
END
refused 'bad.conf:2' << 'END'
upstream = { url = "http://127.0.0.1:1"; };
redis = { port = 3000000000; };
END
refused 'url' << 'END'
upstream = { url = "ftp://127.0.0.1/"; };
END
refused 'url' << 'END'
redis = { port = 1; };
END
refused 'bad.conf:2' << 'END'
upstream = { url = "http://127.0.0.1:1"; };
routes = ( { path = "/**"; ttl = "1m" );
END
refused 'bad.conf' << 'END'
upstream = { url = "http://127.0.0.1:1"; };
/* without an end
END
refused 'nowhere.conf' << 'END'
upstream = { url = "http://127.0.0.1:1"; };
@include "nowhere.conf"
END
if "$LARDER_FCGI" -t -f "$DIR/nowhere.conf" > "$DIR/out" 2>&1; then
    fail "-t took a file that is not there"
fi
grep -q "nowhere.conf" "$DIR/out"
