# shellcheck shell=bash
# Flows for many projects at once. The runs' ids stand in $STAGE/runs.

many_project() { printf '%s_%03d' "$1" "$2"; }

# publish_projects PREFIX COUNT FLOWS: PREFIX_001 ... with FLOWS generated flows each.
publish_projects() {
    local n
    for ((n = 1; n <= $2; n++)); do many_project "$1" "$n" && echo; done |
        xargs -P 4 -I PROJECT "$FLOWLIFT_BIN/flowlift" publish --quiet --project PROJECT --flows "$3" >"$STAGE/runs"
    (($(wc -l <"$STAGE/runs") == $2)) || die "not all projects could be queued" 1
}

# wait_for_runs: until all are settled without a dead change.
wait_for_runs() {
    xargs -P 4 -n 1 "$FLOWLIFT_BIN/flowlift" wait --quiet <"$STAGE/runs" >/dev/null || die "a run did not end well" 1
}

# verify_runs: every run is read back from Azkaban.
verify_runs() {
    xargs -P 2 -n 1 "$FLOWLIFT_BIN/flowlift" verify --quiet --run <"$STAGE/runs" >/dev/null || die "a run does not read back as it was published" 1
}
