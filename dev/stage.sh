# shellcheck shell=bash
# A stage for demo, bench and the like: our programs in the background, each with a log and a free port. All of it ends with
# the script, however that ends: orderly by the trap, else by the kernel.

ROOT=$(repository_root)
declare -A PIDS=()

need() {
    local tool
    for tool in "$@"; do
        have "$tool" || die "$tool is needed and not installed" 69
    done
}

# build: release binaries of all programs; with FLOWLIFT_BIN=DIR nothing is built and those in DIR are used.
build() {
    if [[ -z ${FLOWLIFT_BIN:-} ]]; then
        say "Building (the first time takes some minutes)."
        (cd "$ROOT" && cargo build --release --locked --quiet) || die "the build failed; the lines above say why" 70
        FLOWLIFT_BIN=${CARGO_TARGET_DIR:-$ROOT/target}/release
    fi
    FLOWLIFT_BIN=$(cd "$FLOWLIFT_BIN" && pwd -P)
    export FLOWLIFT_BIN
    local program
    for program in flowlift flowlift-consumer azkaban-standin; do
        [[ -x $FLOWLIFT_BIN/$program ]] || die "there is no $program in $FLOWLIFT_BIN" 66
    done
}

# In the background and waited for: while a command runs in the foreground, bash would look at no signal.
flowlift() {
    local code=0
    setpriv --pdeathsig TERM "$FLOWLIFT_BIN/flowlift" "$@" <&0 &
    PIDS[flowlift]=$!
    wait "$!" || code=$?
    unset 'PIDS[flowlift]'
    return "$code"
}

# Settings of this machine and its user must not change what is shown; broker, Azkaban and login are set by whoever calls.
forget_settings() {
    unset FLOWLIFT_TARGET FLOWLIFT_TRACES FLOWLIFT_SHARDS FLOWLIFT_NAME FLOWLIFT_METRICS_LISTEN FLOWLIFT_METRICS_PROJECTS FLOWLIFT_METRICS_TEXTFILE FLOWLIFT_METRICS_PUSH FLOWLIFT_GRACE FLOWLIFT_AZKABAN_CONNECTIONS \
        FLOWLIFT_AMQP_PASSWORD FLOWLIFT_AMQP_PASSWORD_FILE FLOWLIFT_AMQP_CA_FILE FLOWLIFT_AMQP_CERT_FILE FLOWLIFT_AMQP_KEY_FILE \
        FLOWLIFT_AZKABAN_CA_FILE CREDENTIALS_DIRECTORY \
        FLOWLIFT_AZKABAN_PASSWORD_FILE FLOWLIFT_LOG FLOWLIFT_LOG_LEVEL RUST_LOG
    export FLOWLIFT_CONFIG=/dev/null
}

# stage_begin: a folder for logs and files, and the promise to clean up.
stage_begin() {
    STAGE=$(mktemp -d "${TMPDIR:-/tmp}/flowlift-stage.XXXXXXXX")
    mkdir "$STAGE/log"
    trap 'stage_end' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    forget_settings
    cd "$STAGE" || exit 74
}

# stage_end: logs are kept where something went wrong.
stage_end() {
    local code=$?
    trap '' HUP INT TERM
    if declare -F before_end >/dev/null; then before_end || true; fi
    finish "${!PIDS[@]}"
    cd /
    if ((code == 0 || code >= 128)); then
        rm -rf --one-file-system "$STAGE"
    else
        say "The logs are in $STAGE/log."
    fi
    exit "$code"
}

# spawn NAME CMD...: a program in the background, its output in log/NAME.
spawn() {
    local name=$1
    shift
    setpriv --pdeathsig TERM "$@" </dev/null >"$STAGE/log/$name" 2>&1 &
    PIDS[$name]=$!
}

lives() { kill -0 "${PIDS[$1]}" 2>/dev/null; }

# finish NAME...: asks programs to end, waits up to 20 s, then insists.
finish() {
    local name
    for name in "$@"; do kill -TERM "${PIDS[$name]}" 2>/dev/null || true; done
    for name in "$@"; do
        wait_until 20 gone "$name" || kill -KILL "${PIDS[$name]}" 2>/dev/null || true
        wait "${PIDS[$name]}" 2>/dev/null || true
        unset "PIDS[$name]"
    done
}
gone() { ! lives "$1"; }

# expect NAME SECONDS CMD...: waits until CMD succeeds; a program that ends meanwhile, or a time that is over, ends the script.
expect() {
    local name=$1 seconds=$2
    shift 2
    wait_until "$seconds" either_gone "$name" "$@" || die "$name is not ready after $seconds s: $(last_line "$name")" 69
    lives "$name" || die "$name ended: $(last_line "$name")" 69
}
either_gone() {
    gone "$1" && return
    shift
    "$@"
}
last_line() { tail -n 1 "$STAGE/log/$1"; }

# logged NAME PATTERN: the first match of an extended regular expression in a log.
logged() { grep -m 1 -oE -- "$2" "$STAGE/log/$1" 2>/dev/null; }

# start_standin NAME [OPTIONS]: on a free port of STANDIN_HOST; sets STANDIN_URL.
STANDIN_HOST=127.0.0.1
start_standin() {
    local name=$1
    shift
    spawn "$name" "$FLOWLIFT_BIN/azkaban-standin" --listen "$STANDIN_HOST:0" "$@"
    expect "$name" 10 logged "$name" 'listens on http://[0-9.:]+' >/dev/null
    STANDIN_URL=$(logged "$name" 'http://[0-9.:]+')
}

# start_consumer NAME [OPTIONS]: ready when it returns; METRICS[NAME] is where its metrics are.
declare -A METRICS=()
start_consumer() {
    launch_consumer "$@"
    await_consumer "$1"
}
launch_consumer() {
    local name=$1
    shift
    spawn "$name" "$FLOWLIFT_BIN/flowlift-consumer" --name "$name" --metrics-listen 127.0.0.1:0 --log human "$@"
}
await_consumer() {
    expect "$1" 30 metrics_known "$1"
    expect "$1" 60 is_ready "$1"
}
metrics_known() {
    local url
    url=$(logged "$1" 'http://[0-9.:]+/metrics') && METRICS[$1]=${url:7:-8}
}
is_ready() { http_ok "http://${METRICS[$1]}/readyz"; }

http_ok() { curl -fsS -o /dev/null --max-time 5 "$1" 2>/dev/null; }

# metric NAME SERIES: the sum of all samples of a consumer whose name and labels match an extended regular expression.
metric() { curl -fsS --max-time 5 "http://${METRICS[$1]}/metrics" | sum_series "$2"; }

# standin_stat NAME: a number of the stand-in at STANDIN_URL, for example uploads_total.
standin_stat() {
    curl -fsS --max-time 5 "$STANDIN_URL/standin/stats?format=prometheus" | sum_series "azkaban_standin_$1"
}

# A series name alone means all its labels; with the beginning of the labels, those only.
sum_series() {
    want="^($1)([{}, ]|\$)" awk '
        /^[^#]/ && $0 ~ ENVIRON["want"] { sum += $NF; found = 1 }
        END { printf "%.15g", sum; exit !found }'
}

# median NUMBER...: of whole numbers; the lower one of two.
median() { printf '%s\n' "$@" | sort -n | sed -n "$((($# + 1) / 2))p"; }

seconds() { printf '%d.%02d' "$(($1 / 1000))" "$(($1 % 1000 / 10))"; }

# mean A B: A/B with one decimal, none where it is a whole number.
mean() { awk -v a="$1" -v b="$2" 'BEGIN { if (b == 0) print "-"; else printf a % b ? "%.1f" : "%d", a / b }'; }

# ratio A B: A/B with two decimals.
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (b == 0) print "-"; else printf "%.2f", a / b }'; }
