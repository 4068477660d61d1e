# shellcheck shell=bash
# What the scripts of this folder share: sentences for people, and waiting for things.

say() { printf '%s\n' "$*" >&2; }

# Ends the program with one sentence; the second word chooses the exit code (default 1).
die() {
    say "${0##*/}: $1"
    exit "${2:-1}"
}

have() { command -v "$1" >/dev/null 2>&1; }

# The folder of the repository this file lies in.
repository_root() { (cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P); }

now_ms() {
    local us=${EPOCHREALTIME/[.,]/}
    printf '%s' "$((us / 1000))"
}

# tcp_open ADDRESS PORT: does anybody listen there?
tcp_open() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

# wait_until SECONDS CMD...: asks CMD every 50 ms until it succeeds.
wait_until() {
    local deadline=$(($(now_ms) + $1 * 1000))
    shift
    until "$@"; do
        (($(now_ms) < deadline)) || return 1
        sleep 0.05
    done
}

# wait_for_tcp ADDRESS PORT [SECONDS]
wait_for_tcp() { wait_until "${3:-30}" tcp_open "$1" "$2"; }

# amqp_answers ADDRESS PORT: an open port is not yet a broker; a broker answers the protocol header with a method frame (first byte 1).
amqp_answers() (
    LC_ALL=C
    { exec 3<>"/dev/tcp/$1/$2"; } 2>/dev/null || exit 1
    printf 'AMQP\0\0\011\001' >&3 || exit 1
    IFS='' read -r -t 2 -N 1 -u 3 byte && [[ $byte == $'\001' ]]
)

# free_port: one port of 127.0.0.1 nobody listens on, below the range the kernel hands out by itself. Between finding and
# binding it somebody else may take it: whoever needs several at once takes a slot (take_slot) instead.
free_port() {
    local port tries
    for ((tries = 0; tries < 200; tries++)); do
        port=$((10000 + RANDOM % 10000))
        tcp_open 127.0.0.1 "$port" || {
            printf '%s\n' "$port"
            return
        }
    done
    die "no free port between 10000 and 20000"
}

# A slot is a block of 20 neighbouring ports, held by a lock as long as the taker lives; the kernel frees it whatever happens.
SLOT_SIZE=20
slot_port() { printf '%s' "$((20000 + $1 * SLOT_SIZE + $2))"; }

slot_is_free() {
    local i
    for i in 0 1 2 3 4; do
        tcp_open 127.0.0.1 "$(slot_port "$1" "$i")" && return 1
    done
    return 0
}

# take_slot [NUMBER]: sets SLOT and holds its lock on the descriptor SLOT_FD; with a number, that slot or none.
take_slot() {
    local folder=/tmp/flowlift-slots-$UID try first
    (umask 077 && mkdir -p "$folder")
    first=$((RANDOM % 500))
    for ((try = 0; try < 500; try++)); do
        SLOT=${1:-$(((first + try) % 500))}
        exec {SLOT_FD}>"$folder/$SLOT"
        if flock -n "$SLOT_FD" && slot_is_free "$SLOT"; then return 0; fi
        exec {SLOT_FD}>&-
        [[ -z ${1:-} ]] || return 1
    done
    return 1
}
