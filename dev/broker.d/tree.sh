# shellcheck shell=bash
# A Debian 13 root tree with RabbitMQ 4, made once and kept in the cache: nothing is installed on the system itself but mmdebstrap.

# Two runs at once: the second waits for the first one's tree. A tree is made under another name and renamed when complete,
# so a broken download never looks like a tree.
make_tree() {
    [[ -x $TREE/usr/lib/rabbitmq/bin/rabbitmq-server ]] && return
    local lock
    mkdir -p "${TREE%/*}"
    exec {lock}>"$TREE.lock"
    flock -n "$lock" || {
        say "Waiting for another run that fetches RabbitMQ 4."
        flock "$lock"
    }
    [[ -x $TREE/usr/lib/rabbitmq/bin/rabbitmq-server ]] || build_tree
    exec {lock}>&-
}

build_tree() {
    local new=$TREE.new log=$TREE.log
    say "Fetching RabbitMQ 4 once (a Debian 13 tree of 240 MB under ${TREE%/*})."
    rm -rf --one-file-system "$new"
    have mmdebstrap || install_mmdebstrap >"$log" 2>&1 || tree_failed "$log"
    mmdebstrap --variant=minbase --include=rabbitmq-server \
        trixie "$new" ${FLOWLIFT_DEBIAN_MIRROR:+"$FLOWLIFT_DEBIAN_MIRROR"} >>"$log" 2>&1 || tree_failed "$log"
    printf '127.0.0.1 localhost\n::1 localhost\n' >"$new/etc/hosts"
    mkdir -p "$new/state"
    mv "$new" "$TREE"
}

install_mmdebstrap() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y --no-install-recommends mmdebstrap debian-archive-keyring || {
        apt-get update
        apt-get install -y --no-install-recommends mmdebstrap debian-archive-keyring
    }
}

tree_failed() {
    tail -n 15 "$1" >&2
    die "RabbitMQ 4 could not be fetched; the lines above are the end of $1" 69
}
