# shellcheck shell=sh disable=SC2034
# What contrib/quickstart and contrib/check share; read with `.`, not run.
#
# On the screen: one line a step, aligned, the time it took behind it. What the programs themselves
# say goes to a log, and the log is named when a step fails.

if [ -t 1 ] && [ "${TERM:-dumb}" != dumb ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$(printf '\033[1m') dim=$(printf '\033[2m') plain=$(printf '\033[0m')
    green=$(printf '\033[32m') red=$(printf '\033[31m') cyan=$(printf '\033[36m')
    tty=yes
else
    bold='' dim='' plain='' green='' red='' cyan='' tty=
fi

processors=$(nproc 2> /dev/null || echo 1)

now_ms() {
    date +%s%3N
}

# step_begin NAME: on a terminal the name stands there while the step is under way.
step_begin() {
    step_name=$1
    step_start=$(now_ms)
    if [ -n "$tty" ]; then
        printf '  %-44s %s...%s' "$step_name" "$dim" "$plain"
    fi
}

# step_end COLOUR WORD: completes the line, or writes it whole.
step_end() {
    if [ -n "$tty" ]; then
        printf '\r\033[K'
    fi
    took=$((($(now_ms) - step_start + 500) / 1000))
    printf '  %-44s %s%-24s%s %s%4d s%s\n' "$step_name" "$1" "$2" "$plain" "$dim" "$took" "$plain"
}

# quietly LOG COMMAND...: all that it says goes to the end of the log.
quietly() {
    quiet_log=$1
    shift
    printf '\n$ %s\n' "$*" >> "$quiet_log"
    "$@" >> "$quiet_log" 2>&1
}

# copy_sources FROM TO: the tree without what a build left in it, so that a tree that has been
# configured in place builds out of place all the same, and nothing is written to it.
copy_sources() {
    mkdir -p "$2"
    if [ -e "$1/.git" ] && command -v git > /dev/null &&
        git -c safe.directory='*' -C "$1" ls-files > /dev/null 2>&1; then
        # Files that git knows and that have been removed since are none.
        # shellcheck disable=SC2016
        (cd "$1" && git -c safe.directory='*' ls-files -z --cached --others --exclude-standard |
            xargs -0 sh -c 'for f do [ -e "$f" ] && printf "%s\0" "$f"; done' sh |
            tar --create --null --no-recursion --files-from=-) | tar --extract --directory="$2"
    else
        (cd "$1" && tar --create --exclude=./.git --exclude='./build*/' --exclude='*.o' \
            --exclude='*.lo' --exclude='*.la' --exclude=.deps --exclude=.libs \
            --exclude=./config.status --exclude=./config.log --exclude=./Makefile \
            --exclude=./libtool .) | tar --extract --directory="$2"
    fi
}

# A port of 127.0.0.1 that nobody has. Somebody may still take it before it is used: try again then.
free_port() {
    python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

# await SECONDS COMMAND...: until it succeeds.
await() {
    await_end=$(($(now_ms) + $1 * 1000))
    shift
    until "$@" > /dev/null 2>&1; do
        [ "$(now_ms)" -lt "$await_end" ] || return 1
        sleep 0.02
    done
}
