# shellcheck shell=bash
# One node: its settings in the state folder, and the way into the place where RabbitMQ's programs run.
# A state folder holds: settings, rabbitmq.conf, data/, log/, .erlang.cookie, control (a fifo) and lock (held by the supervisor).
# That of a cluster holds such folders, node1 and so on, in place of files of RabbitMQ's own (cluster.sh).

# What `settings` keeps between a stop and the next start.
write_settings() {
    local name
    for name in KIND ISOLATION SLOT PORT LISTEN PLUGINS LIFE NODES NODE EPMD_SLOT; do
        printf '%s=%q\n' "$name" "${!name}"
    done >"$STATE/settings.new"
    mv "$STATE/settings.new" "$STATE/settings"
}

read_settings() {
    [[ -f $STATE/settings ]] || die "no broker was ever started in $STATE" 69
    # what was written before there were clusters
    NODES=1 NODE='' EPMD_SLOT=''
    # shellcheck source=/dev/null
    . "$STATE/settings"
    namespaces
}

# The address of a node; of a cluster one that names all its nodes.
node_url() { printf 'amqp://guest:guest@%s/%%2f' "$(node_authority)"; }
node_authority() { if is_cluster; then cluster_authority; else printf '127.0.0.1:%s' "$PORT"; fi; }

# What Erlang calls the node of that number.
node_name() { printf 'flowlift%s@localhost' "${1:+-$1}"; }
epmd_port() { slot_port "${EPMD_SLOT:-$SLOT}" 2; }

has_plugin() { [[ ,$PLUGINS, == *,$1,* ]]; }

# The addresses RabbitMQ listens on: this machine always, so that waiting for it and guest work the same everywhere.
listen_addresses() {
    case $LISTEN in
        127.*) printf '127.0.0.1\n' ;;
        0.0.0.0) printf '0.0.0.0\n' ;;
        *) printf '127.0.0.1\n%s\n' "$LISTEN" ;;
    esac
}

# RabbitMQ's own files. The disk limit is low because a test machine is often nearly full and the default would stop publishing.
write_node_files() {
    mkdir -p "$STATE/data" "$STATE/log"
    {
        printf 'disk_free_limit.absolute = 50MB\n'
        [[ -z $NODE ]] || write_peers
        if [[ $KIND != docker ]]; then
            write_listeners
        fi
        if state_lives_in_tree; then
            # Without /proc RabbitMQ would guess that the machine has 1 GB.
            printf 'total_memory_available_override_value = %s\n' \
                "$(awk '$1 == "MemTotal:" { print $2 * 1024 }' /proc/meminfo)"
            printf 'vm_memory_calculation_strategy = allocated\n'
        fi
    } >"$STATE/rabbitmq.conf"
    printf '[%s].\n' "$PLUGINS" >"$STATE/enabled_plugins"
    : >"$STATE/rabbitmq-env.conf"
    write_cookie
}

write_cookie() {
    [[ -s $STATE/.erlang.cookie ]] || (
        umask 077
        od -An -N20 -tx1 /dev/urandom | tr -d ' \n' >"$STATE/.erlang.cookie"
    )
    chmod 0400 "$STATE/.erlang.cookie"
}

write_listeners() {
    local address i=0
    while read -r address; do
        printf 'listeners.tcp.%d = %s:%s\n' $((i += 1)) "$address" "$PORT"
    done < <(listen_addresses)
    if has_plugin rabbitmq_management; then
        printf 'management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = %s\n' "$(slot_port "$SLOT" 3)"
    fi
    if has_plugin rabbitmq_prometheus; then
        printf 'prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = %s\n' "$(slot_port "$SLOT" 4)"
    fi
    if has_plugin rabbitmq_stream; then
        printf 'stream.listeners.tcp.1 = 127.0.0.1:%s\n' "$(slot_port "$SLOT" 5)"
    fi
}

# The environment of the node and its tools, and nothing else of the caller's.
node_environment() {
    local state schedulers=2
    state=$(inner_state)
    (($(nproc) > 1)) || schedulers=1
    NODE_ENV=(
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" "LANG=C.UTF-8" "HOME=$state"
        "RABBITMQ_NODENAME=$(node_name "$NODE")"
        "RABBITMQ_CONF_ENV_FILE=$state/rabbitmq-env.conf" "RABBITMQ_CONFIG_FILE=$state/rabbitmq.conf"
        "RABBITMQ_ENABLED_PLUGINS_FILE=$state/enabled_plugins"
        "RABBITMQ_MNESIA_BASE=$state/data" "RABBITMQ_LOG_BASE=$state/log" "RABBITMQ_LOGS=$state/log/node.log"
        "RABBITMQ_DIST_PORT=$(slot_port "$SLOT" 1)"
        "RABBITMQ_CTL_DIST_PORT_MIN=$(slot_port "$SLOT" 6)" "RABBITMQ_CTL_DIST_PORT_MAX=$(slot_port "$SLOT" 19)"
        "ERL_EPMD_PORT=$(epmd_port)" "ERL_EPMD_ADDRESS=127.0.0.1"
        "ERL_CRASH_DUMP=$state/log/erl_crash.dump" "ERL_CRASH_DUMP_SECONDS=0"
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S $schedulers:$schedulers +SDio 4 -kernel inet_dist_use_interface {127,0,0,1}"
        # Makes rabbitmq-server become the Erlang machine instead of watching over it, so that its process id is the node's.
        "RUNNING_UNDER_SYSTEMD=true"
    )
}

# enter PROGRAM ARGS...: becomes one of RabbitMQ's programs (or epmd), with the right root folder and environment.
enter() {
    local program=$1
    shift
    mount_for_node
    node_environment
    if [[ $KIND == installed ]]; then
        [[ $program == epmd ]] || program=$(installed_scripts)/$program
        # Erlang may be somewhere only the caller's PATH knows.
        exec env -i "${NODE_ENV[@]}" "PATH=$PATH" "$program" "$@"
    fi
    [[ $program == epmd ]] || program=/usr/lib/rabbitmq/bin/$program
    exec chroot "$TREE" /usr/bin/env -i "${NODE_ENV[@]}" "$program" "$@"
}

# enter_node: the same for the node itself; leaves the process id by which the outside knows it.
# /proc is still the outside's here, and only a read by the shell itself tells the shell's own number.
enter_node() {
    local pid
    read -r pid _ </proc/self/stat
    record_pid "$pid"
    enter rabbitmq-server
}

record_pid() {
    printf '%s\n' "$1" >"$STATE/node.pid.new"
    mv "$STATE/node.pid.new" "$STATE/node.pid"
}

node_pid() {
    local pid
    pid=$(cat "$STATE/node.pid" 2>/dev/null) && kill -0 "$pid" 2>/dev/null && printf '%s\n' "$pid"
}

node_is_gone() { ! node_pid >/dev/null; }

# run_tool PROGRAM ARGS...: rabbitmqctl and its like against the node.
run_tool() {
    if [[ $KIND == docker ]]; then
        docker exec -i "$(container_name)" "$@"
    else
        (own_life "$SELF" enter "$STATE" "$@")
    fi
}

# signal_process NAME: KILL, STOP, CONT or TERM to the node.
signal_process() {
    local pid
    pid=$(node_pid) || return 1
    if [[ $KIND == docker ]]; then
        signal_container "$1"
    else
        kill -"$1" "$pid" 2>/dev/null
    fi
}
