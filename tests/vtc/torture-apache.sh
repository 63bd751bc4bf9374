# The torture behind another web server, for a shorter while.
# needs: python3 setpriv apache2 mod_proxy_fcgi redis-server cc
# time: 180
. case

exec python3 -B "$SRC/tests/torture/torture" --front apache --seconds "${LARDER_TORTURE_SECONDS:-5}" \
    ${LARDER_TORTURE_SEED:+--seed "$LARDER_TORTURE_SEED"}
