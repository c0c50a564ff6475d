"""Turns a second over HTTP, beside a bare Werkzeug application: ``python -m benchmarks.turns_over_http``.

A turn is one ``parse`` and one ``continue``. Each client repeats three turns from the stories of the example bot; the
last of them restarts the conversation. All servers have one worker. The bare application is served by plain Granian,
and the shares are relative to that; it is also served by our launcher, under which all threads but one rest while there
is much to do. Rounds alternate between the servers. The table shows the median of the rounds, because the speed of the
machine changes during the measurement, and the least processor time of a turn, which depends less on other processes.
With ``--off-story``, the clients repeat a greeting without a restart, which no story has: so memoization does not know
it, and the network answers every request. With ``--rest``, a turn is one message over the REST channel to a bot of
Rasa 3 with rules only.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from benchmarks.load import build_request, run_load
from benchmarks.serving import bare_server, free_port, processor_seconds, real_server, server, trained_model
from benchmarks.tables import print_table
from rasa_core import Agent
from rasa_core.project import Project

CLIENTS = (1, 8)
TURNS = [
    ("/greet", "utter_greet", []),
    ("/compare", "utter_ask_what_to_compare", []),
    ("/restart", "action_restart", [{"event": "restart"}]),
]


OFF_STORY = TURNS[:1]

RULES = {
    "domain.yml": """
version: "3.1"
intents: [greet, hours, bye]
responses:
  utter_greet: [{text: Hello! What can I do for you?}]
  utter_hours: [{text: We are open from nine to five.}]
  utter_bye: [{text: Goodbye.}]
""",
    "config.yml": "policies: [{name: RulePolicy}]\n",
    "data/rules.yml": """
version: "3.1"
rules:
- {rule: greet, steps: [{intent: greet}, {action: utter_greet}]}
- {rule: hours, steps: [{intent: hours}, {action: utter_hours}]}
- {rule: bye, steps: [{intent: bye}, {action: utter_bye}]}
""",
}
MESSAGES = ("/greet", "/hours", "/bye")

Turn = tuple[str, str, list[dict[str, str]]]


def scripts(clients: int, turns: list[Turn] = TURNS) -> list[list[bytes]]:
    """Return the requests that each client repeats."""
    found = []
    for number in range(clients):
        path = f"/conversations/client-{number}"
        script = []
        for query, action, events in turns:
            script.append(build_request("POST", f"{path}/parse", {"query": query}))
            script.append(build_request("POST", f"{path}/continue", {"executed_action": action, "events": events}))
        found.append(script)
    return found


def messages(clients: int) -> list[list[bytes]]:
    """Return the messages that each client repeats."""
    path = "/webhooks/rest/webhook"
    return [
        [build_request("POST", path, {"sender": f"client-{number}", "message": text}) for text in MESSAGES]
        for number in range(clients)
    ]


def rules_only(folder: Path) -> Path:
    """Return the model of a bot with rules only."""
    for name, text in RULES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    project = Project(folder)
    project.train_if_changed(say=str)
    return project.model


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one measurement")
    parser.add_argument("--off-story", action="store_true", help="turns that are in no story")
    parser.add_argument("--rest", action="store_true", help="messages over the REST channel, to rules alone")
    options = parser.parse_args()
    turns = OFF_STORY if options.off_story else TURNS
    with tempfile.TemporaryDirectory() as name:
        model = rules_only(Path(name, "bot")) if options.rest else trained_model(Path(name))
        agent = Agent.load(model)
        answers: dict[str, object]
        if options.rest:
            answers = {"webhook": [{"recipient_id": "client-0", "text": "We are open from nine to five."}]}
        else:
            answers = {
                "parse": agent.start_message_handling("/greet", "client-0"),
                "continue": agent.continue_message_handling("client-0", "utter_greet", []),
            }
        ports = {kind: free_port() for kind in ("bare Werkzeug", "bare, our launcher", "memory", "SQLite")}
        commands = {
            "bare Werkzeug": bare_server(answers, ports["bare Werkzeug"]),
            "bare, our launcher": bare_server(answers, ports["bare, our launcher"], rests=True),
            "memory": real_server(model, ports["memory"], "--store", "memory://"),
            "SQLite": real_server(model, ports["SQLite"], "--store", f"sqlite:///{name}/conversations.db"),
        }
        rates: dict[tuple[str, int], list[float]] = {}
        costs: dict[tuple[str, int], list[float]] = {}
        for _ in range(options.rounds):
            for kind, command in commands.items():
                with server(command, ports[kind]) as process:
                    for clients in CLIENTS:
                        sent = messages(clients) if options.rest else scripts(clients, turns)
                        run_load("127.0.0.1", ports[kind], sent, seconds=0.5, warmup=0)
                        before = processor_seconds(process.pid)
                        result = run_load("127.0.0.1", ports[kind], sent, seconds=options.seconds, warmup=0)
                        spent = processor_seconds(process.pid) - before
                        rates.setdefault((kind, clients), []).append(len(turns) * result.turns_per_second)
                        turns_taken = result.requests * len(turns) / len(sent[0])
                        costs.setdefault((kind, clients), []).append(spent / turns_taken)
    rows = []
    for clients in CLIENTS:
        bare = statistics.median(rates["bare Werkzeug", clients])
        for kind in commands:
            rate = statistics.median(rates[kind, clients])
            shares = [
                ours / other for ours, other in zip(rates[kind, clients], rates["bare Werkzeug", clients], strict=True)
            ]
            rows.append(
                [
                    kind,
                    clients,
                    f"{rate:.0f}",
                    f"{100 * rate / bare:.0f} %",
                    f"{100 * min(shares):.0f}-{100 * max(shares):.0f} %",
                    f"{1e6 * min(costs[kind, clients]):.0f}",
                    f"{100 * min(costs['bare Werkzeug', clients]) / min(costs[kind, clients]):.0f} %",
                ]
            )
    kind_of_turns = (
        "over the REST channel" if options.rest else "off the stories" if options.off_story else "from the stories"
    )
    print_table(
        f"Turns a second over HTTP, one worker, turns {kind_of_turns}",
        ["server", "clients", "turns/s", "of bare", "spread", "CPU [us]", "of bare"],
        rows,
    )


if __name__ == "__main__":
    main()
