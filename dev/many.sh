# shellcheck shell=bash
# Flows for many projects in one run.

many_project() { printf '%s_%03d' "$1" "$2"; }

# flow_lines PREFIX COUNT FLOWS: NDJSON for PREFIX_001 ... with FLOWS flows each.
flow_lines() {
    awk -v prefix="$1" -v projects="$2" -v flows="$3" 'BEGIN {
        for (p = 1; p <= projects; p++)
            for (f = 1; f <= flows; f++)
                printf "{\"project\":\"%s_%03d\",\"flow\":\"flow_%06d\",\"command\":\"echo flow %d\"}\n", prefix, p, f, f
    }'
}

# flows_in PREFIX COUNT: how many flows Azkaban lists in all of them.
flows_in() {
    local n sum=0
    for ((n = 1; n <= $2; n++)); do sum=$((sum + $(az_flows "$(many_project "$1" "$n")" | wc -l))); done
    printf '%s' "$sum"
}
