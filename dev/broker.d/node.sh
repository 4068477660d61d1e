# shellcheck shell=bash
# One node: its settings in the state folder, and the way into the place where RabbitMQ's programs run.
# A state folder holds: settings, rabbitmq.conf, data/, log/, .erlang.cookie, control (a fifo) and lock (held by the supervisor).

# What `settings` keeps between a stop and the next start.
write_settings() {
    local name
    for name in KIND SLOT PORT LISTEN PLUGINS LIFE; do
        printf '%s=%q\n' "$name" "${!name}"
    done >"$STATE/settings.new"
    mv "$STATE/settings.new" "$STATE/settings"
}

read_settings() {
    [[ -f $STATE/settings ]] || die "no broker was ever started in $STATE" 69
    # shellcheck source=/dev/null
    . "$STATE/settings"
}

node_url() { printf 'amqp://guest:guest@127.0.0.1:%s/%%2f' "$PORT"; }

# RabbitMQ's own files. The disk limit is low because a test machine is often nearly full and the default would stop publishing.
write_node_files() {
    local addresses=(127.0.0.1) address i=0
    case $LISTEN in
        127.*) ;;
        0.0.0.0) addresses=(0.0.0.0) ;;
        *) addresses+=("$LISTEN") ;;
    esac
    mkdir -p "$STATE/data" "$STATE/log"
    {
        for address in "${addresses[@]}"; do
            printf 'listeners.tcp.%d = %s:%s\n' $((i += 1)) "$address" "$PORT"
        done
        printf 'disk_free_limit.absolute = 50MB\n'
        printf 'log.file.level = info\n'
        if [[ ,$PLUGINS, == *,rabbitmq_management,* ]]; then
            printf 'management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = %s\n' "$(slot_port "$SLOT" 3)"
        fi
        if [[ ,$PLUGINS, == *,rabbitmq_prometheus,* ]]; then
            printf 'prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = %s\n' "$(slot_port "$SLOT" 4)"
        fi
    } >"$STATE/rabbitmq.conf"
    printf '[%s].\n' "$PLUGINS" >"$STATE/enabled_plugins"
    : >"$STATE/rabbitmq-env.conf"
    [[ -s $STATE/.erlang.cookie ]] || (
        umask 077
        od -An -N20 -tx1 /dev/urandom | tr -d ' \n' >"$STATE/.erlang.cookie"
    )
    chmod 0400 "$STATE/.erlang.cookie"
}

# The environment of the node and its tools, and nothing else of the caller's: $1 is the state folder as they see it.
node_environment() {
    local schedulers=2
    (($(nproc) > 1)) || schedulers=1
    NODE_ENV=(
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" "LANG=C.UTF-8" "HOME=$1"
        "RABBITMQ_NODENAME=flowlift@localhost"
        "RABBITMQ_CONF_ENV_FILE=$1/rabbitmq-env.conf" "RABBITMQ_CONFIG_FILE=$1/rabbitmq.conf"
        "RABBITMQ_ENABLED_PLUGINS_FILE=$1/enabled_plugins"
        "RABBITMQ_MNESIA_BASE=$1/data" "RABBITMQ_LOG_BASE=$1/log" "RABBITMQ_LOGS=$1/log/node.log"
        "RABBITMQ_DIST_PORT=$(slot_port "$SLOT" 1)"
        "RABBITMQ_CTL_DIST_PORT_MIN=$(slot_port "$SLOT" 5)" "RABBITMQ_CTL_DIST_PORT_MAX=$(slot_port "$SLOT" 19)"
        "ERL_EPMD_PORT=$(slot_port "$SLOT" 2)" "ERL_EPMD_ADDRESS=127.0.0.1"
        "ERL_CRASH_DUMP=$1/log/erl_crash.dump" "ERL_CRASH_DUMP_SECONDS=0"
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S $schedulers:$schedulers +SDio 4 -kernel inet_dist_use_interface {127,0,0,1}"
        # Makes rabbitmq-server become the Erlang machine instead of watching over it, so that its process id is the node's.
        "RUNNING_UNDER_SYSTEMD=true"
    )
}

# enter PROGRAM ARGS...: becomes one of RabbitMQ's programs. Runs inside the new namespaces, so the mounts are its own.
enter() {
    local program=$1
    shift
    if [[ $KIND == installed ]]; then
        node_environment "$STATE"
        exec env -i "${NODE_ENV[@]}" "$(installed_scripts)/$program" "$@"
    fi
    mount --bind "$STATE" "$TREE/state"
    mount -t proc proc "$TREE/proc"
    mount --rbind /dev "$TREE/dev"
    mount -t tmpfs tmpfs "$TREE/tmp"
    node_environment /state
    exec chroot "$TREE" /usr/bin/env -i "${NODE_ENV[@]}" "/usr/lib/rabbitmq/bin/$program" "$@"
}

# enter_node: the same for the node itself; leaves the process id by which the outside knows it.
# /proc is still the outside's here, and only a read by the shell itself tells the shell's own number.
enter_node() {
    local pid
    read -r pid _ </proc/self/stat
    printf '%s\n' "$pid" >"$STATE/node.pid.new"
    mv "$STATE/node.pid.new" "$STATE/node.pid"
    enter rabbitmq-server
}

# Everything a program of RabbitMQ starts (epmd above all, which detaches itself) ends with it: it is process 1 of its own
# process namespace, and dies when the process that waits for it dies.
own_namespaces=(unshare --mount --pid --fork --kill-child)

# tool PROGRAM ARGS...: rabbitmqctl and its like against the node.
run_tool() { "${own_namespaces[@]}" "$SELF" enter "$STATE" "$@"; }

node_pid() {
    local pid
    pid=$(cat "$STATE/node.pid" 2>/dev/null) && kill -0 "$pid" 2>/dev/null && printf '%s\n' "$pid"
}

node_is_gone() { ! node_pid >/dev/null; }
