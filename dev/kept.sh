# shellcheck shell=bash
# Programs that stay when the script ends (`make up`): process ids and logs in $KEPT, which is .flowlift/up in the repository.

KEPT=$(repository_root)/.flowlift/up

# kept_lives NAME PROGRAM: does the process of that name still run, and is it still that program? Numbers are used again.
kept_lives() {
    local pid
    pid=$(cat "$KEPT/pid/$1" 2>/dev/null) || return 1
    [[ $(basename -- "$(readlink "/proc/$pid/exe" 2>/dev/null)" ' (deleted)') == "$2" ]]
}

# keep NAME CMD...: starts CMD away from this terminal, unless it runs already.
keep() {
    local name=$1
    shift
    mkdir -p "$KEPT/pid" "$KEPT/log"
    kept_lives "$name" "$(basename "$1")" && return
    setsid "$@" </dev/null >"$KEPT/log/$name" 2>&1 &
    local pid=$!
    printf '%s\n' "$pid" >"$KEPT/pid/$name"
    disown
    # until it is CMD, the process is a shell, which would not count as living
    wait_until 10 begun_or_gone "$name" "$(basename "$1")" "$pid" || true
}
begun_or_gone() { kept_lives "$1" "$2" || ! kill -0 "$3" 2>/dev/null; }

# kept_ready NAME PROGRAM SECONDS CMD...: waits until CMD succeeds.
kept_ready() {
    local name=$1 program=$2 seconds=$3
    shift 3
    wait_until "$seconds" ready_or_gone "$name" "$program" "$@" || die "$name is not ready after $seconds s; see $KEPT/log/$name" 69
    kept_lives "$name" "$program" || die "$name ended: $(tail -n 1 "$KEPT/log/$name")" 69
}
ready_or_gone() {
    kept_lives "$1" "$2" || return 0
    shift 2
    "$@"
}

# end_kept NAME PROGRAM: asks it to end, waits up to 75 s (a consumer finishes its uploads), then insists.
end_kept() {
    local name=$1 program=$2 pid
    if kept_lives "$name" "$program"; then
        pid=$(cat "$KEPT/pid/$name")
        kill -TERM "$pid" 2>/dev/null || true
        wait_until 75 kept_gone "$name" "$program" || kill -KILL "$pid" 2>/dev/null || true
    fi
    rm -f "$KEPT/pid/$name"
}
kept_gone() { ! kept_lives "$1" "$2"; }

# kept_metrics NAME: host:port of a consumer's metrics, from its log.
kept_metrics() { grep -m 1 -oE 'http://[0-9.:]+/metrics' "$KEPT/log/$1" | sed -E 's#http://(.*)/metrics#\1#'; }
