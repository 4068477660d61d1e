# shellcheck shell=bash
# The node as a container of the official image. Its process id is that of the `docker run` which is attached to it.

fetch_image() {
    docker image inspect "$BROKER_IMAGE" >/dev/null 2>&1 && return
    say "Fetching RabbitMQ 4 once (the image $BROKER_IMAGE)."
    docker pull -q "$BROKER_IMAGE" >&2 || die "the image $BROKER_IMAGE could not be fetched" 69
}

container_name() { printf 'flowlift-broker-%s' "$SLOT-$(printf '%s' "$STATE" | cksum | cut -d ' ' -f 1)"; }

# What runs in the container: the node, until it ends, standard input does, or `docker stop` asks. `docker run` passes the end of
# its own standard input on, and that end comes when the supervisor dies: so no container stays behind.
# shellcheck disable=SC2016 # the container's shell expands it
CONTAINER_COMMAND='exec 3<&0; docker-entrypoint.sh rabbitmq-server 3<&- & node=$!
    trap "kill -TERM $node" TERM
    { cat <&3 >/dev/null; kill -TERM "$node"; } &
    while kill -0 "$node" 2>/dev/null; do wait "$node"; done'

# become_container: becomes the `docker run`. The fifo `hold` is written by the supervisor alone.
become_container() {
    local options=() address
    while read -r address; do
        options+=(-p "$address:$PORT:5672")
    done < <(listen_addresses)
    has_plugin rabbitmq_management && options+=(-p "127.0.0.1:$(slot_port "$SLOT" 3):15672")
    has_plugin rabbitmq_prometheus && options+=(-p "127.0.0.1:$(slot_port "$SLOT" 4):15692")
    has_plugin rabbitmq_stream && options+=(-p "127.0.0.1:$(slot_port "$SLOT" 5):5552")
    docker rm -f "$(container_name)" >/dev/null 2>&1 || true
    record_pid "$BASHPID"
    exec docker run -i --rm --name "$(container_name)" --hostname localhost --user "$(id -u):$(id -g)" \
        -e RABBITMQ_NODENAME=flowlift@localhost -e "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 2:2" \
        -v "$STATE/data:/var/lib/rabbitmq" \
        -v "$STATE/rabbitmq.conf:/etc/rabbitmq/conf.d/90-flowlift.conf:ro" \
        -v "$STATE/enabled_plugins:/etc/rabbitmq/enabled_plugins:ro" \
        "${options[@]}" "$BROKER_IMAGE" sh -c "$CONTAINER_COMMAND" <"$STATE/hold"
}

signal_container() {
    local name
    name=$(container_name)
    case $1 in
        KILL) docker kill "$name" >/dev/null ;;
        TERM) docker stop -t 20 "$name" >/dev/null ;;
        STOP) docker pause "$name" >/dev/null ;;
        CONT) docker unpause "$name" >/dev/null ;;
    esac
}
