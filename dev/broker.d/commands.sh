# shellcheck shell=bash
# The subcommands people type.

# Reads options into STATE, PORT, LISTEN, PLUGINS, NODES, WANTED_NODE; what is left stands in REST.
read_options() {
    STATE='' PORT='' LISTEN=127.0.0.1 PLUGINS='' NODES=1 NODE='' EPMD_SLOT='' WANTED_NODE=''
    while (($#)); do
        case $1 in
            --state | --port | --listen | --plugins | --nodes | --node) (($# > 1)) || die "$1 needs a value" 64 ;;&
            --state) STATE=$2 && shift ;;
            --port) PORT=$2 && shift ;;
            --listen) LISTEN=$2 && shift ;;
            --nodes) NODES=$2 && shift ;;
            --node) WANTED_NODE=$2 && shift ;;
            --plugins) PLUGINS=${PLUGINS:+$PLUGINS,}$2 && shift ;;
            --management) PLUGINS=${PLUGINS:+$PLUGINS,}rabbitmq_management ;;
            --) shift && break ;;
            -*) die "there is no option \"$1\"" 64 ;;
            *) break ;;
        esac
        shift
    done
    REST=("$@")
    [[ -z $PORT || $PORT =~ ^[0-9]{1,5}$ ]] || die "--port is \"$PORT\"; it must be a number" 64
    [[ $PLUGINS =~ ^[a-z0-9_,]*$ ]] || die "--plugins is \"$PLUGINS\"; it must be names with commas between" 64
    [[ $NODES =~ ^[1-9]$ ]] || die "--nodes is \"$NODES\"; it must be a number from 1 to 9" 64
    [[ $WANTED_NODE =~ ^[0-9]?$ ]] || die "--node is \"$WANTED_NODE\"; it must be the number of a node" 64
    [[ -z $PORT ]] || ! is_cluster || die "--port is for a single node; those of a cluster take free ones" 64
    [[ $LISTEN =~ ^[0-9.]+$ ]] || die "--listen is \"$LISTEN\"; it must be an IPv4 address" 64
}

default_state() { STATE=${STATE:-$(repository_root)/.flowlift/broker}; }

# The state folder of a broker that was started before, or of one of its nodes, and its settings.
read_state() {
    read_options "$@"
    default_state
    [[ ! -d $STATE ]] || STATE=$(cd "$STATE" && pwd -P)
    read_settings
    choose_node
}

prepare_broker() {
    find_broker
    find_isolation
    case $KIND in
        tree) make_tree ;;
        docker) fetch_image ;;
    esac
}

do_fetch() {
    prepare_broker
    say "Ready: $KIND."
}

do_start() {
    local begun
    begun=$(now_ms)
    read_options "$@"
    default_state
    [[ ! -d $STATE ]] || STATE=$(cd "$STATE" && pwd -P)
    if [[ -n $WANTED_NODE ]]; then
        read_state "$@"
        ask up
    elif ! supervisor_lives; then
        SLOT=''
        [[ ! -f $STATE/settings ]] || merge_settings
        prepare_broker
        make_kept_state
        LIFE=kept
        start_supervisor
        (ask up) || give_up
    else
        ask up
    fi
    read_settings
    say "RabbitMQ is up at $(node_url) ($(($(now_ms) - begun)) ms)."
}

# A first start that fails leaves nothing running, and no settings that would spoil the next try.
give_up() {
    ask quit
    [[ -d $STATE/data ]] || rm -f "$STATE/settings"
    exit 69
}

make_kept_state() {
    if state_lives_in_tree && [[ ! -d $STATE ]]; then
        mkdir -p "$TREE/states" "$(dirname "$STATE")"
        ln -s "$(mktemp -d "$TREE/states/kept.XXXXXXXX")" "$STATE"
    fi
    mkdir -p "$STATE"
    STATE=$(cd "$STATE" && pwd -P)
}

# A second start keeps the port and what was asked the first time, as long as nothing else is asked now.
merge_settings() {
    local port=$PORT listen=$LISTEN plugins=$PLUGINS nodes=$NODES
    read_settings
    ((nodes == 1 || nodes == NODES)) || die "the broker in $STATE has $NODES node(s)" 64
    PORT=${port:-$PORT} PLUGINS=${plugins:-$PLUGINS}
    [[ $listen == 127.0.0.1 ]] || LISTEN=$listen
}

do_stop() {
    read_options "$@"
    default_state
    [[ -f $STATE/settings ]] || return 0
    read_state "$@"
    supervisor_lives || return 0
    # Only the script that made a broker for a command ends it wholly.
    if [[ $LIFE == run || -n $NODE ]]; then ask down; else ask quit; fi
}

do_url() {
    read_state "$@"
    printf '%s\n' "$(node_url)"
}

do_status() {
    read_state "$@"
    if is_cluster && supervisor_lives; then cluster_status; else node_status; fi
}

node_status() {
    if ! supervisor_lives || node_is_gone; then
        say "No broker is running in $STATE."
        return 3
    fi
    printf 'url=%s\nstate=%s\nkind=%s\nplugins=%s\npid=%s\n' "$(node_url)" "$STATE" "$KIND" "$PLUGINS" "$(node_pid)"
    ! has_plugin rabbitmq_management || printf 'management=http://127.0.0.1:%s\n' "$(slot_port "$SLOT" 3)"
    ! has_plugin rabbitmq_prometheus || printf 'metrics=http://127.0.0.1:%s/metrics\n' "$(slot_port "$SLOT" 4)"
    ! has_plugin rabbitmq_stream || printf 'stream=rabbitmq-stream://127.0.0.1:%s\n' "$(slot_port "$SLOT" 5)"
}

do_restart() {
    read_state "$@"
    ask down
    ask up
}

do_kill() { signal_node KILL "$@" && wait_until 10 node_is_gone; }
do_pause() { signal_node STOP "$@"; }
do_resume() { signal_node CONT "$@"; }

signal_node() {
    local signal=$1
    shift
    read_state "$@"
    ! is_cluster || die "say which node of the cluster: --node 1 to $NODES" 64
    signal_process "$signal" || die "no broker is running in $STATE" 69
}

do_ctl() {
    read_state "$@"
    ((${#REST[@]})) || die "ctl needs the words for rabbitmqctl, for example: ctl -- list_queues" 64
    supervisor_lives || die "no broker is running in $STATE" 69
    if is_cluster; then
        WANTED_NODE=$(any_living_node)
        choose_node
    fi
    case ${REST[0]} in
        rabbitmq-*) run_tool "${REST[@]}" ;;
        *) run_tool rabbitmqctl "${REST[@]}" ;;
    esac
}
