#!/usr/bin/env bash
# Talks to the bot on the terminal, and runs its actions here, with curl and jq.
#
#     rasa-core serve .
#     bash client.sh [address of the server]
#
# If the server has a token, set it for the client too, in the environment variable RASA_CORE_TOKEN.
set -euo pipefail

server=${1:-http://localhost:5005}
conversation=$server/conversations/$$-$RANDOM$RANDOM
full=' Monday ' # The calendar that this bot knows; put your own in its place.
said=$(mktemp)  # What an action says on standard error.
trap 'rm -f "$said"' EXIT

# call ENDPOINT BODY: the answer. A request that gets none is sent again with its key: it is carried out once.
call() {
    curl --silent --show-error --max-time 30 --retry 5 --retry-connrefused --retry-all-errors --fail-with-body \
        ${RASA_CORE_TOKEN:+--header "Authorization: Bearer $RASA_CORE_TOKEN"} \
        --header "Idempotency-Key: $$-$RANDOM$RANDOM$RANDOM" --data "$2" "$conversation/$1" || {
        echo 'Is the server running? rasa-core serve .' >&2
        exit 1
    }
}

# book_repair ANSWER: the events that came of it. A Sunday stands for a calendar that cannot be reached.
book_repair() {
    local day outcome
    day=$(jq -r '.tracker.slots.day' <<<"$1")
    [ "$day" != Sunday ] || { echo 'the calendar does not answer' >&2; return 1; }
    if [[ $full == *" $day "* ]]; then outcome=full; else outcome=booked; fi
    jq -nc --arg outcome "$outcome" '[{event: "slot", name: "outcome", value: $outcome}]'
}

# run ACTION ANSWER: what to report of it: its events, and what it says on standard error if it fails. The stories tell
# what the bot does then.
run() {
    local events='[]'
    case "$1" in
    book_repair) events=$("$1" "$2" 2>"$said") || { report_failure "$1"; return; } ;;
    esac
    jq -nc --arg action "$1" --argjson events "$events" '{executed_action: $action, events: $events}'
}

report_failure() {
    local error
    error=$(cat "$said")
    echo "     ($1: $error)" >&2
    jq -nc --arg action "$1" --arg error "$error" '{executed_action: $action, events: [], error: $error}'
}

while IFS= read -r -p 'you: ' line && [ -n "$line" ]; do
    answer=$(call parse "$(jq -nc --arg query "$line" '{query: $query}')")
    action=$(jq -r '.next_action' <<<"$answer")
    while [ "$action" != action_listen ] && [ "$action" != null ]; do
        jq -r '.messages[]? | "bot: " + .text' <<<"$answer"
        answer=$(call continue "$(run "$action" "$answer")")
        action=$(jq -r '.next_action' <<<"$answer")
    done
done
echo
