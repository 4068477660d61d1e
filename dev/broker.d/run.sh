# shellcheck shell=bash
# `dev/broker run`: a broker exactly as long as a command.

do_run() {
    read_options "$@"
    ((${#REST[@]})) || die "run needs a command: run [OPTIONS] -- CMD..." 64
    [[ -z $STATE ]] || die "run makes its own state folder; --state is for the other subcommands" 64
    if [[ ${FLOWLIFT_USE_BROKER:-} == 1 ]]; then
        [[ -n ${FLOWLIFT_AMQP_URL:-} ]] || die "FLOWLIFT_USE_BROKER is 1, but FLOWLIFT_AMQP_URL names no broker" 64
        exec "${REST[@]}"
    fi
    prepare_broker
    remove_leftovers
    make_run_state
    LIFE=run SLOT='' CHILD='' SIGNALS=0
    trap 'end_broker' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    start_supervisor
    ask up
    read_settings
    run_command
}

run_parent() { if state_lives_in_tree; then printf '%s/states' "$TREE"; else printf '%s' "${TMPDIR:-/tmp}"; fi; }

make_run_state() {
    mkdir -p "$(run_parent)"
    STATE=$(mktemp -d "$(run_parent)/flowlift-broker.XXXXXXXX")
    STATE=$(cd "$STATE" && pwd -P)
}

# State folders whose owners were killed together with everything around them: nobody holds their lock any more.
remove_leftovers() {
    local folder
    while IFS='' read -r -d '' folder; do
        if [[ ! -e $folder/lock ]] || flock -s -n "$folder/lock" true; then
            rm -rf --one-file-system "$folder"
        fi
    done < <(find "$(run_parent)" -maxdepth 1 -name 'flowlift-broker.????????' -user "$EUID" -mmin +1 -print0 2>/dev/null)
}

# CMD runs in the background, since a shell only looks at signals between commands; it keeps the terminal, standard input and
# (reset by env) the reaction to Ctrl-C that background commands lose.
run_command() {
    local code=0
    FLOWLIFT_AMQP_URL=$(node_url)
    FLOWLIFT_TEST_BROKER=$STATE
    export FLOWLIFT_AMQP_URL FLOWLIFT_TEST_BROKER
    setpriv --pdeathsig TERM env --default-signal=INT --default-signal=QUIT "${REST[@]}" <&0 {LIFELINE_FD}>&- &
    CHILD=$!
    trap 'on_signal HUP 129' HUP
    trap 'on_signal INT 130' INT
    trap 'on_signal TERM 143' TERM
    while true; do
        wait "$CHILD" && code=0 || code=$?
        kill -0 "$CHILD" 2>/dev/null || break
    done
    exit "${SIGNAL_CODE:-$code}"
}

# A signal is passed on and CMD has 30 s to end; a second one ends it at once. Ctrl-C has reached CMD already.
on_signal() {
    SIGNAL_CODE=$2
    SIGNALS=$((SIGNALS + 1))
    if ((SIGNALS > 1)); then
        kill -KILL "$CHILD" 2>/dev/null || true
        return
    fi
    [[ $1 == INT ]] && in_foreground || kill -"$1" "$CHILD" 2>/dev/null || true
    wait_until 30 child_is_gone || kill -KILL "$CHILD" 2>/dev/null || true
}

child_is_gone() { ! kill -0 "$CHILD" 2>/dev/null; }

# Is this process in the group the terminal sends its signals to?
in_foreground() {
    local line fields
    line=$(cat "/proc/$$/stat")
    read -ra fields <<<"${line##*) }"
    [[ ${fields[2]} == "${fields[5]}" ]]
}

# Nothing is left when run returns: closing the lifeline ends the supervisor, which removes the state folder last.
end_broker() {
    trap '' HUP INT TERM
    [[ -z ${LIFELINE_FD:-} ]] || exec {LIFELINE_FD}>&-
    [[ -z ${SUPERVISOR_PID:-} ]] || {
        kill -TERM "$SUPERVISOR_PID" 2>/dev/null || true
        wait "$SUPERVISOR_PID" 2>/dev/null || true
    }
    rm -rf --one-file-system "$STATE"
}
