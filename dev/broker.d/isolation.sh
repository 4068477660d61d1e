# shellcheck shell=bash
# How a node is kept from outliving its owner: namespaces of its own where the system allows them, as root or as a user;
# else (a container without rights) the kernel's "die with your parent".

# Sets ISOLATION to root, user or none.
find_isolation() {
    for ISOLATION in root user none; do
        namespaces
        [[ $ISOLATION == none ]] || "${NAMESPACES[@]}" --mount-proc true 2>/dev/null || continue
        return
    done
}

# The words before a command that put it into its own mount and process namespaces. It is process 1 there: whatever it starts
# (epmd above all, which detaches itself) ends with it, and it is killed when the process that waits for it dies.
namespaces() {
    case $ISOLATION in
        root) NAMESPACES=(unshare --mount --pid --fork --kill-child) ;;
        user) NAMESPACES=(unshare --user --map-root-user --mount --pid --fork --kill-child) ;;
        *) NAMESPACES=() ;;
    esac
}

# own_life CMD...: becomes CMD, which the kernel kills when this process's parent dies, even of a kill -9.
own_life() { exec setpriv --pdeathsig KILL "${NAMESPACES[@]}" "$@"; }

# A chroot without mounts sees only what lies in the tree, so that is where state folders then have to be.
state_lives_in_tree() { [[ $KIND == tree && $ISOLATION == none ]]; }

# The state folder as the node sees it.
inner_state() {
    case $KIND/$ISOLATION in
        docker/*) printf '/var/lib/rabbitmq' ;;
        tree/none) printf '%s' "${STATE#"$TREE"}" ;;
        tree/*) printf '/state' ;;
        *) printf '%s' "$STATE" ;;
    esac
}

# Mounts of the new namespace alone. A private /proc matters to RabbitMQ: it looks up its own memory there by process id.
mount_for_node() {
    case $KIND/$ISOLATION in
        */none) ;;
        tree/*)
            mount --bind "$STATE" "$TREE/state"
            mount -t proc proc "$TREE/proc"
            mount --rbind /dev "$TREE/dev"
            mount -t tmpfs tmpfs "$TREE/tmp"
            ;;
        *) mount -t proc proc /proc ;;
    esac
}
