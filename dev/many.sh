# shellcheck shell=bash
# Generated flows spread over many projects, PREFIX_000 to PREFIX_NNN, in one run.

# many_source PREFIX COUNT FLOWS: the words that describe them to `flowlift publish` and `flowlift verify`; FLOWS in each project.
many_source() { printf -- '--project\n%s_{n%%%d:03}\n--flows\n%d\n' "$1" "$2" "$(($2 * $3))"; }

# many_projects PREFIX COUNT: their names.
many_projects() {
    local n
    for ((n = 0; n < $2; n++)); do printf '%s_%03d\n' "$1" "$n"; done
}

# flows_in PROJECT...: how many flows Azkaban lists in all of them.
flows_in() {
    local project sum=0
    for project in "$@"; do sum=$((sum + $(az_flows "$project" | wc -l))); done
    printf '%s' "$sum"
}
