# shellcheck shell=bash
# The other side of the supervisor: starting one, and having it do something.

# Asks with a shared lock and the supervisor takes its own patiently, so that askers never keep it from starting.
supervisor_lives() { [[ -p $STATE/control ]] && ! flock -s -n "$STATE/lock" true; }

# Starts the supervisor of $STATE away from this script's terminal and process group. With LIFE=run its standard input is a pipe
# whose other end only this script holds: the lifeline.
start_supervisor() {
    rm -f "$STATE/control" "$STATE/node.pid" "$STATE"/answer.*
    mkfifo "$STATE/control"
    mkdir -p "$STATE/log"
    : >>"$STATE/lock"
    write_settings
    if [[ $LIFE == run ]]; then
        exec {LIFELINE_FD}> >(exec setsid "$SELF" supervise "$STATE" >>"$STATE/log/supervisor" 2>&1)
    else
        setsid "$SELF" supervise "$STATE" </dev/null >>"$STATE/log/supervisor" 2>&1 &
    fi
    SUPERVISOR_PID=$!
    wait_until 10 supervisor_lives || die "the broker's supervisor did not start; see $STATE/log/supervisor" 70
}

# ask WORD: has the supervisor do something and waits for its answer.
ask() {
    local id=$BASHPID-$RANDOM result
    supervisor_lives || die "no broker is running in $STATE" 69
    printf '%s %s\n' "$1" "$id" >>"$STATE/control"
    wait_until 150 answered_or_alone "$id" || die "the broker's supervisor gave no answer; see $STATE/log" 70
    result=$(cat "$STATE/answer.$id" 2>/dev/null || true)
    rm -f "$STATE/answer.$id"
    [[ $result == ok ]] || die "${result:-the broker ended; see $STATE/log}" 69
}

answered_or_alone() { [[ -e $STATE/answer.$1 ]] || ! supervisor_lives; }
