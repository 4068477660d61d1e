# shellcheck shell=bash
# A publishing that goes on: lines as fast as wanted until they are enough, and what Azkaban must have in the end. Half of them are
# flows of their own, half the next number for the flow `tick` of a project: a lost one is missing, an undone one has a lower number.

# start_feed PREFIX PROJECTS RATE: runs `flowlift publish` on RATE lines a second for PREFIX_000 to PREFIX_NNN.
start_feed() {
    FED_PREFIX=$1 FED_PROJECTS=$2
    mkfifo "$STAGE/lines"
    feed_lines "$3" >"$STAGE/lines" &
    PIDS[feed]=$!
    setpriv --pdeathsig TERM "$FLOWLIFT_BIN/flowlift" publish - --stream <"$STAGE/lines" >"$STAGE/log/publisher" 2>"$STAGE/log/publisher-said" &
    PIDS[publisher]=$!
}

# In bursts: the publisher sends what it has when nothing came for 0.2 s.
feed_lines() {
    local rate=$1 n=0 i tick=0 begun due
    begun=$(now_ms)
    while [[ ! -e $STAGE/enough ]]; do
        for ((i = 0; i < rate / 2; i++)); do
            if ((n % 2)); then
                tick=$((tick + 1))
                printf '{"project":"%s_%03d","flow":"tick","command":"echo %d"}\n' "$FED_PREFIX" $((tick % FED_PROJECTS)) "$tick"
            else
                printf '{"project":"%s_%03d","flow":"flow_%06d","command":"echo %d"}\n' "$FED_PREFIX" $((n / 2 % FED_PROJECTS)) "$n" "$n"
            fi
            n=$((n + 1))
        done
        due=$((begun + n * 1000 / rate - $(now_ms)))
        ((due <= 0)) || sleep "$((due / 1000)).$(printf '%03d' $((due % 1000)))"
    done
    printf '%d %d\n' "$n" "$tick" >"$STAGE/fed"
}

# end_feed: sets RUN, FED_LINES and FED_TICKS; fails when the publisher did.
end_feed() {
    local code=0
    : >"$STAGE/enough"
    wait "${PIDS[feed]}" || true
    wait "${PIDS[publisher]}" || code=$?
    unset 'PIDS[feed]' 'PIDS[publisher]'
    RUN=$(tail -n 1 "$STAGE/log/publisher")
    read -r FED_LINES FED_TICKS <"$STAGE/fed"
    return "$code"
}

# read_back: asks Azkaban for all of it (needs az_login); sets MISSING and UNDONE.
# shellcheck disable=SC2034 # read by whoever calls
read_back() {
    local i project flows want got
    MISSING=0 UNDONE=0
    flows=$(((FED_LINES + 1) / 2))
    for ((i = 0; i < FED_PROJECTS; i++)); do
        project=$(printf '%s_%03d' "$FED_PREFIX" "$i")
        got=$(az_flows "$project" | grep -c '^flow_' || true)
        MISSING=$((MISSING + (flows + FED_PROJECTS - 1 - i) / FED_PROJECTS - got))
        want=$((FED_TICKS - (FED_TICKS - i) % FED_PROJECTS))
        got=$(az_call manager ajax=fetchJobInfo "project=$project" flowName=tick jobName=tick |
            sed -nE 's/.*"command" *: *"echo ([0-9]+)".*/\1/p' | sort -u)
        [[ $got == "$want" ]] || {
            UNDONE=$((UNDONE + 1))
            say "$project: tick is \"$got\", it must be $want"
        }
    done
}
