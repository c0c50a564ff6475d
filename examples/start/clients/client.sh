#!/usr/bin/env bash
# Talks to the bot on the terminal, and runs its actions here, with curl and jq.
#
#     rasa-core serve .
#     bash client.sh [address of the server]
set -euo pipefail

server=${1:-http://localhost:5005}
conversation=$server/conversations/$$-$RANDOM$RANDOM
full=' Monday ' # The calendar that this bot knows; put your own in its place.

# call ENDPOINT BODY: the answer. A request that gets none is sent again with its key: it is carried out once.
call() {
    curl --silent --show-error --max-time 30 --retry 5 --retry-connrefused --retry-all-errors --fail-with-body \
        --header "Idempotency-Key: $$-$RANDOM$RANDOM$RANDOM" --data "$2" "$conversation/$1" || {
        echo 'Is the server running? rasa-core serve .' >&2
        exit 1
    }
}

# run ACTION ANSWER: the events that came of it. A Sunday stands for a calendar that cannot be reached.
run() {
    local day outcome
    [ "$1" = book_repair ] || { echo '[]'; return; }
    day=$(jq -r '.tracker.slots.day' <<<"$2")
    case " $day " in
    ' Sunday ') echo '     (the calendar does not answer)' >&2; outcome=failed ;;
    *) if [[ $full == *" $day "* ]]; then outcome=full; else outcome=booked; fi ;;
    esac
    jq -nc --arg outcome "$outcome" '[{event: "slot", name: "outcome", value: $outcome}]'
}

while IFS= read -r -p 'you: ' line && [ -n "$line" ]; do
    answer=$(call parse "$(jq -nc --arg query "$line" '{query: $query}')")
    action=$(jq -r '.next_action' <<<"$answer")
    while [ "$action" != action_listen ] && [ "$action" != null ]; do
        jq -r '.messages[]? | "bot: " + .text' <<<"$answer"
        events=$(run "$action" "$answer")
        answer=$(call continue "$(jq -nc --arg action "$action" --argjson events "$events" \
            '{executed_action: $action, events: $events}')")
        action=$(jq -r '.next_action' <<<"$answer")
    done
done
echo
