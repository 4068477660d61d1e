# shellcheck shell=bash
# shellcheck disable=SC2030,SC2031 # a node's folder is the state in a subshell only
# Several nodes as one broker. The cluster's state folder holds that of each node, node1 and so on; its supervisor owns the epmd by
# which the nodes find each other and a supervisor for each node, and passes words on to them.

is_cluster() { [[ -z ${NODE:-} ]] && ((${NODES:-1} > 1)); }

# members: their numbers.
members() { seq 1 "$NODES"; }

# of_member N CMD...: as the node of that number.
of_member() (
    STATE=$STATE/node$1
    read_settings
    "${@:2}"
)

# host:port of each node with commas between.
cluster_authority() {
    local n
    for n in $(members); do
        ((n == 1)) || printf ','
        of_member "$n" node_authority
    done
}

# What a node's own file says of the others. The smaller side of a partition pauses: it could confirm nothing anyway.
write_peers() {
    local n
    printf 'cluster_partition_handling = pause_minority\n'
    printf 'cluster_formation.peer_discovery_backend = classic_config\n'
    for n in $(members); do
        printf 'cluster_formation.classic_config.nodes.%d = %s\n' "$n" "$(node_name "$n")"
    done
}

# cluster_up: brings up whichever node is down, all at once: the last to go down must be there before the others answer.
cluster_up() {
    local n asking=() all=ok
    claim_ports || return 1
    [[ -n $EPMD_PID ]] || launch_epmd
    make_members
    for n in $(members); do
        (close_own_descriptors && of_member "$n" ask up) &
        asking+=($!)
    done
    for n in "${asking[@]}"; do wait "$n" || all="not every node of the cluster came up; see $STATE/node*/log"; done
    RESULT=$all
    [[ $RESULT == ok ]]
}

cluster_down() {
    local n asking=()
    for n in $(members); do
        (close_own_descriptors && of_member "$n" ask down) &
        asking+=($!)
    done
    wait "${asking[@]}"
}

# Folders and supervisors of the nodes.
make_members() {
    local n
    ((${#MEMBER_PIDS[@]} == 0)) || return 0
    for n in $(members); do
        make_member "$n"
        rm -f "$STATE/node$n/control" "$STATE/node$n/node.pid" "$STATE/node$n"/answer.*
        mkfifo "$STATE/node$n/control"
        mkdir -p "$STATE/node$n/log"
        : >>"$STATE/node$n/lock"
        (close_own_descriptors && exec setpriv --pdeathsig TERM "$SELF" supervise "$STATE/node$n") \
            </dev/null >>"$STATE/node$n/log/supervisor" 2>&1 &
        MEMBER_PIDS+=($!)
    done
    for n in $(members); do
        wait_until 10 of_member "$n" supervisor_lives || return 1
    done
}

# make_member N: what it was is kept. The nodes know each other by one cookie.
make_member() (
    local first=$STATE/node1
    EPMD_SLOT=$SLOT STATE=$STATE/node$1 NODE=$1 SLOT='' PORT=''
    [[ ! -f $STATE/settings ]] || return 0
    mkdir -p "$STATE"
    [[ $1 == 1 ]] || cp -p "$first/.erlang.cookie" "$STATE/"
    write_cookie
    write_settings
)

end_members() {
    local pid
    for pid in "${MEMBER_PIDS[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
    for pid in "${MEMBER_PIDS[@]}"; do wait "$pid" 2>/dev/null || true; done
}

# choose_node: of a cluster, the node that --node named; else the cluster as a whole.
choose_node() {
    [[ -n $WANTED_NODE ]] || return 0
    is_cluster || die "--node is for clusters; the broker in $STATE is a single node" 64
    ((WANTED_NODE >= 1 && WANTED_NODE <= NODES)) || die "--node is \"$WANTED_NODE\"; the cluster has the nodes 1 to $NODES" 64
    STATE=$STATE/node$WANTED_NODE
    read_settings
}

# any_living_node: for tools, which ask one node about all.
any_living_node() {
    local n
    for n in $(members); do
        of_member "$n" node_pid >/dev/null || continue
        printf '%s' "$n"
        return
    done
    die "no node of the cluster in $STATE is running" 69
}

cluster_status() {
    local n code=0
    printf 'url=%s\nstate=%s\nkind=%s\nplugins=%s\n' "$(node_url)" "$STATE" "$KIND" "$PLUGINS"
    for n in $(members); do
        of_member "$n" node_status || code=3
    done
    return "$code"
}
