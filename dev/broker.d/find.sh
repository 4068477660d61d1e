# shellcheck shell=bash
# Which RabbitMQ >= 4 this machine can run: the installed one, Docker, or a Debian 13 tree.

BROKER_IMAGE=${FLOWLIFT_BROKER_IMAGE:-rabbitmq:4}
: "${HOME:=$(cd ~ && pwd)}"
TREE=${XDG_CACHE_HOME:-$HOME/.cache}/flowlift/rabbitmq-trixie

# The folder of an unpacked RabbitMQ (with sbin/ or bin/, plugins/, escript/) the rabbitmq-server on the PATH belongs to.
# Debian's own command is a wrapper that changes the user; the scripts below it do not.
installed_scripts() {
    local command folder
    command=$(command -v rabbitmq-server) || return 1
    command=$(readlink -f "$command")
    for folder in "$(dirname "$command")" /usr/lib/rabbitmq/bin; do
        [[ -f $folder/rabbitmq-env && -f $folder/rabbitmq-server ]] || continue
        printf '%s\n' "$folder"
        return
    done
    return 1
}

# scripts_version FOLDER: 4.0.5; told by the plugin's folder, since asking the program takes a second.
scripts_version() {
    local home plugin
    home=$(readlink -f "$1/rabbitmq-server")
    home=${home%/*}/..
    for plugin in "$home"/plugins/rabbit-[0-9]* "$home"/lib/rabbitmq_server-*/plugins/rabbit-[0-9]*; do
        [[ -e $plugin ]] || continue
        plugin=${plugin##*/rabbit-}
        printf '%s\n' "${plugin%.ez}"
        return
    done
    return 1
}

installed_is_usable() {
    local scripts version
    scripts=$(installed_scripts) || return 1
    version=$(scripts_version "$scripts") || return 1
    ((${version%%.*} >= 4))
}

docker_is_usable() { have docker && timeout 10 docker info >/dev/null 2>&1; }

tree_is_usable() {
    [[ $EUID -eq 0 ]] || return 1
    [[ -x $TREE/usr/lib/rabbitmq/bin/rabbitmq-server ]] && return 0
    have apt-get && grep -qE '^ID(_LIKE)?=.*(debian|ubuntu)' /etc/os-release
}

# Sets KIND to installed, docker or tree, or ends the program with what to do.
find_broker() {
    local wish=${FLOWLIFT_BROKER_KIND:-}
    for KIND in ${wish:-installed docker tree}; do
        ! is_cluster || [[ $KIND != docker ]] || continue
        case $KIND in
            installed) installed_is_usable && return ;;
            docker) docker_is_usable && return ;;
            tree) tree_is_usable && return ;;
            *) die "FLOWLIFT_BROKER_KIND is \"$KIND\"; it can be installed, docker or tree" 64 ;;
        esac
    done
    say "No RabbitMQ 4 or newer can be started here${wish:+ (FLOWLIFT_BROKER_KIND=$wish)}. One of these helps:"
    say "  - install rabbitmq-server 4 or newer, so that it is on the PATH;"
    say "  - install and start Docker;"
    say "  - on Debian or Ubuntu run this as root: a Debian 13 tree of 240 MB is then made under ${TREE%/*};"
    say "  - use a broker that runs elsewhere: export FLOWLIFT_AMQP_URL=amqp://... FLOWLIFT_USE_BROKER=1"
    exit 69
}
