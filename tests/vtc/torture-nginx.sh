# The torture behind another web server, for a shorter while.
# needs: python3 setpriv nginx redis-server cc
# time: 180
. case

exec python3 -B "$SRC/tests/torture/torture" --front nginx --seconds "${LARDER_TORTURE_SECONDS:-5}" \
    ${LARDER_TORTURE_SEED:+--seed "$LARDER_TORTURE_SEED"}
