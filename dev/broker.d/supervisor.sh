# shellcheck shell=bash
# The process that owns a node for as long as there is one. It obeys words in the fifo `control` ("up 17", "down 18", "quit 19")
# and leaves its answer in `answer.17`; the other subcommands only ask. With LIFE=run it ends when the script that started it
# does, however that dies: the script alone holds the writing end of the fifo `lifeline`.

supervise() {
    exec {LOCK_FD}>"$STATE/lock"
    flock -n "$LOCK_FD" || exit 0
    read_settings
    SLOT_FD='' OWNER_PID='' WATCH_PID=''
    exec {CONTROL_FD}<>"$STATE/control"
    trap 'quit' TERM INT HUP
    [[ $LIFE != run ]] || watch_lifeline
    local word id
    while true; do
        read -r -u "$CONTROL_FD" word id || continue
        RESULT=ok
        case $word in
            up) node_up || true ;;
            down) node_down TERM ;;
            quit) quit "$id" ;;
        esac
        answer "$id"
    done
}

answer() {
    printf '%s\n' "$RESULT" >"$STATE/answer.new"
    mv "$STATE/answer.new" "$STATE/answer.$1"
}

# A child waits for the end of the script, so that the loop above has one thing to wait for.
watch_lifeline() {
    local end
    exec {end}<"$STATE/lifeline"
    (
        exec {LOCK_FD}>&-
        trap - TERM INT HUP
        read -r -u "$end" _ || true
        printf 'quit 0\n' >&"$CONTROL_FD"
    ) &
    WATCH_PID=$!
    exec {end}<&-
}

# The ports stay the node's while it is down for an outage test, and are the same after a stop and start.
claim_ports() {
    [[ -z $SLOT_FD ]] || return 0
    take_slot $SLOT || take_slot || {
        RESULT="no free ports were found for the broker's own use"
        return 1
    }
    PORT=${PORT:-$(slot_port "$SLOT" 0)}
    write_settings
}

node_up() {
    ! node_is_gone || launch_node
}

launch_node() {
    claim_ports || return 1
    if tcp_open 127.0.0.1 "$PORT"; then
        RESULT="port $PORT of 127.0.0.1 is taken by another program"
        return 1
    fi
    write_node_files
    rm -f "$STATE/node.pid"
    if [[ $KIND == docker ]]; then
        start_container &
    else
        dies_with_parent "${own_namespaces[@]}" "$SELF" enter-node "$STATE" \
            </dev/null >"$STATE/log/startup" 2>&1 {LOCK_FD}>&- {SLOT_FD}>&- {CONTROL_FD}>&- &
    fi
    OWNER_PID=$!
    if wait_until 90 up_or_gone && amqp_answers 127.0.0.1 "$PORT"; then
        after_start
        return
    fi
    RESULT="RabbitMQ did not start; its log ends so: $(tail -qn 12 "$STATE/log/startup" "$STATE/log/node.log" 2>/dev/null)"
    node_down KILL
    return 1
}

up_or_gone() { ! kill -0 "$OWNER_PID" 2>/dev/null || amqp_answers 127.0.0.1 "$PORT"; }

# Guest may come from this machine only, so other machines get a user of their own.
after_start() {
    case $LISTEN in
        127.*) return ;;
    esac
    [[ -e $STATE/data/.user-made ]] && return
    run_tool rabbitmqctl -q eval 'rabbit_auth_backend_internal:add_user(<<"flowlift">>, <<"flowlift">>, <<"dev/broker">>),
        rabbit_auth_backend_internal:set_tags(<<"flowlift">>, [administrator], <<"dev/broker">>),
        rabbit_auth_backend_internal:set_permissions(<<"flowlift">>, <<"/">>, <<".*">>, <<".*">>, <<".*">>, <<"dev/broker">>).' \
        >"$STATE/log/user" 2>&1 && : >"$STATE/data/.user-made"
}

# node_down SIGNAL: TERM lets RabbitMQ close its files first, KILL does not ask. A paused node hears nothing but KILL and CONT.
node_down() {
    local pid
    if pid=$(node_pid); then
        kill -"$1" "$pid" 2>/dev/null || true
        kill -CONT "$pid" 2>/dev/null || true
        wait_until 20 node_is_gone || kill -KILL "$pid" 2>/dev/null || true
    elif [[ -n $OWNER_PID ]]; then
        kill -KILL "$OWNER_PID" 2>/dev/null || true
    fi
    [[ -z $OWNER_PID ]] || wait "$OWNER_PID" 2>/dev/null || true
    OWNER_PID=''
    rm -f "$STATE/node.pid"
}

quit() {
    trap '' TERM INT HUP
    [[ -z $WATCH_PID ]] || kill "$WATCH_PID" 2>/dev/null || true
    if [[ $LIFE == run ]]; then
        node_down KILL
        rm -rf --one-file-system "$STATE"
    else
        node_down TERM
        rm -f "$STATE/control"
        RESULT=ok
        [[ -z ${1:-} ]] || answer "$1"
    fi
    exit 0
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

supervisor_lives() {
    [[ -p $STATE/control ]] && ! flock -n "$STATE/lock" true
}

# Starts the supervisor of $STATE away from this script's terminal and process group.
start_supervisor() {
    rm -f "$STATE/control" "$STATE"/answer.*
    mkfifo "$STATE/control"
    [[ $LIFE != run ]] || mkfifo "$STATE/lifeline"
    write_settings
    mkdir -p "$STATE/log"
    : >>"$STATE/lock"
    setsid "$SELF" supervise "$STATE" </dev/null >>"$STATE/log/supervisor" 2>&1 &
    SUPERVISOR_PID=$!
    [[ $LIFE != run ]] || exec {LIFELINE_FD}>"$STATE/lifeline"
    wait_until 10 supervisor_lives || die "the broker's supervisor did not start; see $STATE/log/supervisor" 70
}

# dies_with_parent CMD...: the kernel kills CMD when this process dies, even of a kill -9.
dies_with_parent() { exec setpriv --pdeathsig KILL "$@"; }
