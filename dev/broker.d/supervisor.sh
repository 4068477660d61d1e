# shellcheck shell=bash
# The process that owns a node for as long as there is one. It obeys words in the fifo `control` ("up 17", "down 18", "quit 19")
# and leaves its answer in `answer.17`; the other subcommands only ask. With LIFE=run it ends when the script that started it
# does, however that dies: its standard input ends then. A cluster has one, too, which owns those of its nodes.

supervise() {
    exec {LOCK_FD}>"$STATE/lock"
    flock -w 5 "$LOCK_FD" || exit 0
    read_settings
    SLOT_FD='' HOLD_FD='' OWNER_PID='' EPMD_PID='' WATCH_PID='' MEMBER_PIDS=()
    exec {CONTROL_FD}<>"$STATE/control"
    trap 'quit' TERM INT HUP
    # a node of a cluster ends with the supervisor of the cluster
    [[ $LIFE != run || -n $NODE ]] || watch_lifeline
    [[ $KIND != docker ]] || hold_container
    local word id
    while true; do
        read -r -u "$CONTROL_FD" word id || continue
        RESULT=ok
        case $word in
            up) if is_cluster; then cluster_up || true; else node_up || true; fi ;;
            down) if is_cluster; then cluster_down || true; else node_down TERM; fi ;;
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
    local owner=$BASHPID
    (
        close_own_descriptors
        trap - TERM INT HUP
        read -r _ || true
        kill -TERM "$owner"
    ) <&0 &
    WATCH_PID=$!
    exec </dev/null
}

hold_container() {
    rm -f "$STATE/hold"
    mkfifo "$STATE/hold"
    exec {HOLD_FD}<>"$STATE/hold"
}

# Children must not hold the locks by which others see that the supervisor lives.
close_own_descriptors() {
    local fd
    for fd in "$LOCK_FD" "$SLOT_FD" "$CONTROL_FD" "$HOLD_FD"; do
        [[ -z $fd ]] || exec {fd}>&-
    done
}

# The ports stay the node's while it is down for an outage test, and are the same after a stop and start.
claim_ports() {
    [[ -z $SLOT_FD ]] || return 0
    take_slot ${SLOT:+"$SLOT"} || take_slot || {
        RESULT="no free ports were found for the broker's own use"
        return 1
    }
    PORT=${PORT:-$(slot_port "$SLOT" 0)}
    write_settings
}

node_up() { ! node_is_gone || launch_node; }

launch_node() {
    claim_ports || return 1
    if tcp_open 127.0.0.1 "$PORT"; then
        RESULT="port $PORT of 127.0.0.1 is taken by another program"
        return 1
    fi
    write_node_files
    rm -f "$STATE/node.pid"
    [[ $ISOLATION != none || $KIND == docker || -n $EPMD_PID || -n $NODE ]] || launch_epmd
    (
        close_own_descriptors
        case $KIND in
            docker) become_container ;;
            *) own_life "$SELF" enter-node "$STATE" </dev/null ;;
        esac
    ) >"$STATE/log/startup" 2>&1 &
    OWNER_PID=$!
    if wait_until 90 up_or_gone && kill -0 "$OWNER_PID" 2>/dev/null; then
        add_user_for_others
        return
    fi
    RESULT="RabbitMQ did not start; its log ends so: $(tail -qn 12 "$STATE/log/startup" "$STATE/log/node.log" 2>/dev/null)"
    node_down KILL
    return 1
}

up_or_gone() { ! kill -0 "$OWNER_PID" 2>/dev/null || amqp_answers 127.0.0.1 "$PORT"; }

# Without a process namespace the epmd that RabbitMQ starts would stay behind, so it finds one that dies with us. The nodes of a
# cluster share one, which may not die with any of them.
launch_epmd() {
    (
        close_own_descriptors
        own_life "$SELF" enter "$STATE" epmd </dev/null
    ) >"$STATE/log/epmd" 2>&1 &
    EPMD_PID=$!
    wait_for_tcp 127.0.0.1 "$(epmd_port)" 10 || true
}

# Guest may come from this machine only, so other machines get a user of their own.
add_user_for_others() {
    [[ $LISTEN != 127.* && ! -e $STATE/user-made ]] || return 0
    run_tool rabbitmqctl -q eval '
        rabbit_auth_backend_internal:add_user(<<"flowlift">>, <<"flowlift">>, <<"dev/broker">>),
        rabbit_auth_backend_internal:set_tags(<<"flowlift">>, [administrator], <<"dev/broker">>),
        rabbit_auth_backend_internal:set_permissions(<<"flowlift">>, <<"/">>, <<".*">>, <<".*">>, <<".*">>, <<"dev/broker">>).' \
        >"$STATE/log/user" 2>&1 || {
        RESULT="the user for other machines could not be made: $(tail -n 3 "$STATE/log/user")"
        return
    }
    : >"$STATE/user-made"
}

# node_down SIGNAL: TERM lets RabbitMQ close its files first, KILL does not ask. A paused node hears nothing but KILL and CONT.
node_down() {
    if ! node_is_gone; then
        signal_process CONT 2>/dev/null || true
        signal_process "$1" || true
        wait_until 20 node_is_gone || signal_process KILL || true
    elif [[ -n $OWNER_PID ]]; then
        kill -KILL "$OWNER_PID" 2>/dev/null || true
    fi
    [[ -z $OWNER_PID ]] || wait "$OWNER_PID" 2>/dev/null || true
    OWNER_PID=''
    rm -f "$STATE/node.pid"
}

quit() {
    trap '' TERM INT HUP
    if is_cluster; then
        end_members
    elif [[ $LIFE == run ]]; then
        node_down KILL
    else
        node_down TERM
    fi
    local pid
    for pid in $WATCH_PID $EPMD_PID; do
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    if [[ $LIFE == run ]]; then
        rm -rf --one-file-system "$STATE"
    else
        RESULT=ok
        [[ -z ${1:-} ]] || answer "$1"
        rm -f "$STATE/control" "$STATE/hold"
    fi
    exit 0
}
