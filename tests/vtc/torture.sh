# Everything at once, for a short while: see tests/torture/torture, and run that for longer.
# needs: python3 setpriv lighttpd redis-server cc
# time: 180
. case

exec python3 -B "$SRC/tests/torture/torture" --seconds "${LARDER_TORTURE_SECONDS:-13}" ${LARDER_TORTURE_SEED:+--seed "$LARDER_TORTURE_SEED"}
