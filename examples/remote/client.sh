#!/usr/bin/env bash
# Talks to the bot, and runs its actions here, with nothing but curl and python -m json.tool.
#
#     rasa-core-serve examples/remote
#     bash examples/remote/client.sh [address of the server] [conversation]
set -euo pipefail

server=${1:-http://localhost:5005}
conversation=$server/conversations/${2:-shell-client}
python=$(command -v python3 || command -v python)

received=$(mktemp)
trap 'rm -f "$received"' EXIT

new_key() {
    uuidgen 2>/dev/null || cat /proc/sys/kernel/random/uuid
}

# call ENDPOINT BODY: the answer, a line for each value
#
# Without an answer, nobody knows whether the request was carried out. So curl repeats it, after pauses that double,
# with the same key: the server then gives the answer that it gave before, and adds nothing. --retry alone is for
# answers such as 503, and minds their Retry-After; the other two are for connections that are refused or break.
# Half an answer must not stay in front of the whole one: curl empties a file before it tries again, but not a pipe.
# There is no --fail, which would make curl repeat what the server refuses (400, 401, ...) as well.
call() {
    local status
    status=$(curl --silent --show-error --max-time 30 --retry 5 --retry-connrefused --retry-all-errors \
        --header "Idempotency-Key: $(new_key)" --data "$2" \
        --output "$received" --write-out '%{http_code}' "$conversation/$1") || exit
    [ "$status" -lt 300 ] || { cat "$received" >&2; exit 1; }
    "$python" -m json.tool "$received"
}

next_action() { # the value of "next_action" in the answer; empty for null
    sed -n 's/^    "next_action": "\(.*\)",*$/\1/p' <<<"$1"
}

city() { # the value of the slot city in the answer
    sed -n 's/^            "city": "\(.*\)",*$/\1/p' <<<"$1"
}

run() { # run ACTION CITY: sets $said, and $events, a JSON list
    said='' events='[]'
    case "$1:$2" in
    search_concerts:Lisbon)
        said='2 concerts in Lisbon.'
        events='[{"event": "slot", "name": "concerts", "value": [{"artist": "Carminho", "stars": 5}, {"artist": "Maria Joao", "stars": 4}]}]' ;;
    search_concerts:*)
        said="0 concerts in $2."
        events='[{"event": "slot", "name": "concerts", "value": []}]' ;;
    search_venues:Porto)
        said='1 venues in Porto.'
        events='[{"event": "slot", "name": "venues", "value": [{"name": "Casa da Musica", "stars": 5}]}]' ;;
    search_venues:*)
        said="0 venues in $2."
        events='[{"event": "slot", "name": "venues", "value": []}]' ;;
    compare_concerts:*) said='Carminho has 5 stars. Maria Joao has 4 stars.' ;;
    compare_venues:*) said='Casa da Musica has 5 stars.' ;;
    forget_search:*)
        said='Done.'
        events='[{"event": "reset_slots"}]' ;;
    action_restart:*)
        said='A new conversation.'
        events='[{"event": "restart"}]' ;;
    utter_greet:*) said='Hello! Concerts or venues?' ;;
    utter_ask_city:*) said='In which city?' ;;
    utter_nothing_found:*) said='I found nothing there. Another city?' ;;
    utter_search_failed:*) said='I cannot search just now.' ;;
    utter_found:*) said='Shall I compare them?' ;;
    utter_ask_what_to_compare:*) said='Tell me first what to look for.' ;;
    utter_started_over:*) said='Forgotten. What now?' ;;
    utter_welcome:*) said='You are welcome.' ;;
    utter_goodbye:*) said='Enjoy the music!' ;;
    utter_default:*) said='Sorry, I look for concerts and venues only.' ;;
    *) echo "unknown action: $1" >&2 && exit 1 ;;
    esac
}

while read -r message; do
    echo "you: $message"
    answer=$(call parse "{\"query\": \"${message//\"/\\\"}\"}")
    action=$(next_action "$answer")
    while [ -n "$action" ] && [ "$action" != action_listen ]; do
        run "$action" "$(city "$answer")"
        echo "bot: [$action] $said"
        answer=$(call continue "{\"executed_action\": \"$action\", \"events\": $events}")
        action=$(next_action "$answer")
    done
done <<'MESSAGES'
/greet
/find_concerts{"city": "Atlantis"}
/inform{"city": "Lisbon"}
/compare
/start_over
/find_venues{"city": "Porto"}
/compare
/restart
/compare
/goodbye
MESSAGES
