# shellcheck shell=bash
# A few calls to an Azkaban by curl: what a person does by hand, to compare with. Address in AZ_URL; user and password from
# FLOWLIFT_AZKABAN_USER and FLOWLIFT_AZKABAN_PASSWORD. Secrets go to curl by standard input, never by its command line.

# quoted TEXT: as a value in curl's config syntax.
quoted() {
    local text=${1//\\/\\\\}
    printf '"%s"' "${text//\"/\\\"}"
}

az_login() {
    local answer
    answer=$(
        {
            printf 'data-urlencode = %s\n' "$(quoted "username=${FLOWLIFT_AZKABAN_USER:-azkaban}")"
            printf 'data-urlencode = %s\n' "$(quoted "password=${FLOWLIFT_AZKABAN_PASSWORD:-azkaban}")"
        } | curl -sS --max-time 30 --config - --data action=login "$AZ_URL/"
    ) || die "Azkaban at $AZ_URL cannot be reached" 69
    AZ_SESSION=$(sed -nE 's/.*"session\.id" *: *"([^"]+)".*/\1/p' <<<"$answer")
    [[ -n $AZ_SESSION ]] || die "Azkaban at $AZ_URL refuses the login of ${FLOWLIFT_AZKABAN_USER:-azkaban}" 77
}

# az_call PATH PARAMETER...: one call with the session; prints the answer.
az_call() {
    local path=$1 parameter
    shift
    {
        printf 'data-urlencode = %s\n' "$(quoted "session.id=$AZ_SESSION")"
        for parameter in "$@"; do printf 'data-urlencode = %s\n' "$(quoted "$parameter")"; done
    } | curl -sS --max-time 120 --config - "$AZ_URL/$path"
}

az_exists() { az_call manager ajax=getProjectId "project=$1" 2>/dev/null | grep -q '"projectId"'; }

az_create() {
    local answer
    answer=$(az_call manager action=create "name=$1" "description=$2") || die "Azkaban does not answer" 69
    grep -q '"status" *: *"success"' <<<"$answer" || die "project $1 was not created: $answer"
}

# Azkaban deletes by GET only, and answers with a redirect either way.
az_delete() {
    {
        printf 'cookie = %s\n' "$(quoted "azkaban.browser.session.id=$AZ_SESSION")"
        printf 'data-urlencode = %s\n' "$(quoted "project=$1")"
    } | curl -sS --max-time 120 --config - --get --data delete=true -o /dev/null "$AZ_URL/manager"
    ! az_exists "$1"
}

# az_upload PROJECT ZIP: sets UPLOAD_MS to the time of this one call.
az_upload() {
    local begun answer
    begun=$(now_ms)
    answer=$(
        {
            printf 'form = %s\n' "$(quoted "session.id=$AZ_SESSION")"
            printf 'form = %s\n' "$(quoted "ajax=upload")"
            printf 'form = %s\n' "$(quoted "project=$1")"
            printf 'form = %s\n' "$(quoted "file=@\"$2\";type=application/zip;filename=\"${2##*/}\"")"
        } | curl -sS --max-time 3600 --config - "$AZ_URL/manager"
    ) || die "the upload into $1 got no answer" 69
    UPLOAD_MS=$(($(now_ms) - begun))
    if grep -q '"error"' <<<"$answer" || ! grep -q '"version"' <<<"$answer"; then
        UPLOAD_ANSWER=$answer
        return 1
    fi
}

# az_flows PROJECT: the ids of its flows, sorted.
az_flows() {
    az_call manager ajax=fetchprojectflows "project=$1" | sed -nE 's/.*"flowId" *: *"(.*)".*/\1/p' | LC_ALL=C sort
}
