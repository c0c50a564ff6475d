"""``rasa-core store``: its output, and the state of a store after a command was killed."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from programs import program as needed_program
from remote_bot import served
from small_bots import MOOD_DOMAIN, MOOD_STORIES, trained_agent

from rasa_core.agent import Agent
from rasa_core.commands import store as store_module
from rasa_core.commands.main import main
from rasa_core.commands.store import Transferred
from rasa_core.domain import Domain
from rasa_core.events import SlotSet
from rasa_core.server import create_app
from rasa_core.tracker_store import EventLogStore, Head, StoredAnswer, store_from_url
from rasa_core.tracker_store.base import json_line
from rasa_core.tracker_store.transfer import Outcome

ROOT = Path(__file__).parents[2]
HALTED = Path(__file__).with_name("halted_store_command.py")
NAMES = ["delete", "expire", "export", "import", "list", "migrate"]
DAY = 86_400.0
SHOWN_ODDLY = ["", " a", '"quoted"', "line\nbreak", "nul\x00", "\u2028", "\x1b[31m"]
SHOWN_AS_THEY_ARE = ["a b", "anna", "ben@example.org", "Ü 😀", "[1]"]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/a.db"


@pytest.fixture
def other_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/b.db"


def add(url: str, sender_id: str, count: int = 2, *, idle: float = 0.0, answer: StoredAnswer | None = None) -> None:
    """Store a conversation that changed last `idle` seconds ago."""
    events = [SlotSet("mood", number, timestamp=1000.0 + number) for number in range(count)]
    rows = [json_line(event.as_dict(), "event", event) for event in events]
    with store_from_url(url) as store:
        store.commit(sender_id, 0, rows, Head(count, 0, "model", time.time() - idle, "{}"), answer)


def add_all(url: str, sender_ids: list[str]) -> None:
    for sender_id in sender_ids:
        add(url, sender_id)


def contents(url: str) -> dict[str, list[str]]:
    with store_from_url(url) as store:
        return {sender_id: store.read_events(sender_id, 0, 10**9) for sender_id in store.sender_ids()}


def heads(url: str) -> dict[str, Head | None]:
    with store_from_url(url) as store:
        return {sender_id: store.read_head(sender_id) for sender_id in store.sender_ids()}


def run(*arguments: str, text: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["store", *arguments], input=text, catch_exceptions=False)


def ran(*arguments: str, text: str | bytes | None = None) -> str:
    finished = run(*arguments, text=text)
    assert finished.exit_code == 0, finished.output
    return finished.stdout


def failed(code: int, *arguments: str, text: str | None = None) -> str:
    """Return the message, on one line, of a command that ends with the exit code."""
    finished = run(*arguments, text=text)
    assert finished.exit_code == code, finished.output
    return re.sub(r"\s+", " ", finished.stderr)


def process(
    *arguments: str, program: tuple[str, ...] = ("-m", "rasa_core.commands", "store")
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", *program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def killed_before(method: str, number: int, *arguments: str) -> None:
    """Run a command in a process of its own, and kill that before the N-th call of a method of its store."""
    with process(method, str(number), *arguments, program=(str(HALTED),)) as halted:
        assert halted.stdout is not None
        line = halted.stdout.readline()
        halted.kill()
        _, errors = halted.communicate()
    assert line == b"here\n", errors.decode()


# -- help and arguments


@pytest.mark.parametrize("name", NAMES)
def test_each_command_is_explained_with_an_example(name: str) -> None:
    text = ran(name, "--help")
    assert "Example" in text
    assert f"rasa-core store {name} " in text


def test_the_group_lists_its_commands() -> None:
    assert re.findall(r"(?m)^  (\w+)   ?", ran("--help").partition("Commands:")[2])[: len(NAMES)] == NAMES


def test_the_module_is_a_command_of_its_own(url: str) -> None:
    add(url, "anna")
    with process("list", url) as listing:
        output, errors = listing.communicate()
    assert (output, errors, listing.returncode) == (b"anna\n", b"", 0)


@pytest.mark.parametrize(
    "arguments",
    [
        ("list", "memory://"),
        ("delete", "memory://", "a"),
        ("expire", "memory://", "--retention", "1d"),
        ("export", "memory://"),
        ("import", "memory://", "-"),
        ("migrate", "memory://", "sqlite:///b.db"),
        ("migrate", "sqlite:///b.db", "memory://"),
    ],
    ids=" ".join,
)
def test_the_memory_of_a_process_is_refused(arguments: tuple[str, ...]) -> None:
    assert "memory:// would be new and empty here" in failed(2, *arguments)


@pytest.mark.parametrize(
    "arguments",
    [("list",), ("delete", "a"), ("expire", "--retention", "1d"), ("export",), ("migrate", "sqlite:///other.db")],
    ids=" ".join,
)
def test_a_mistyped_path_is_told_and_no_file_is_made(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    path = tmp_path / "conversations.bd"
    assert f"there is no file '{path}'" in failed(1, arguments[0], f"sqlite:///{path}", *arguments[1:])
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_scheme_is_told_without_the_password() -> None:
    message = failed(1, "list", "postgrexql://bot:secret@host/talks")
    assert "unknown tracker store 'postgrexql://'. Did you mean 'postgresql'" in message
    assert "secret" not in message


@pytest.mark.parametrize("arguments", [("expire", "--retention", "90"), ("list", "--idle", "90")], ids=" ".join)
def test_a_duration_without_a_unit_is_refused_with_examples(url: str, arguments: tuple[str, ...]) -> None:
    add(url, "anna")
    assert "'90' is not a duration: write a whole number above 0 and its unit" in failed(
        2, arguments[0], url, *arguments[1:]
    )
    assert list(contents(url)) == ["anna"]


# -- list, delete, expire


def test_ids_are_listed_one_a_line_whatever_is_in_them(url: str) -> None:
    add_all(url, [*SHOWN_ODDLY, *SHOWN_AS_THEY_ARE])
    lines = ran("list", url).splitlines()
    assert set(SHOWN_AS_THEY_ARE) <= set(lines)
    assert {json.loads(line) for line in lines if line[0] == '"'} == set(SHOWN_ODDLY)
    assert len(lines) == len(SHOWN_ODDLY) + len(SHOWN_AS_THEY_ARE)


def test_ids_as_json_can_be_handed_on(url: str) -> None:
    add_all(url, [*SHOWN_ODDLY, *SHOWN_AS_THEY_ARE])
    lines = ran("list", url, "--format", "json").splitlines()
    assert [json.loads(line) for line in lines] == sorted([*SHOWN_ODDLY, *SHOWN_AS_THEY_ARE])
    ran("delete", url, "--format", "json", *lines)
    assert contents(url) == {}


def test_listing_goes_page_by_page(url: str) -> None:
    add_all(url, ["d", "a", "c", "b"])
    assert ran("list", url, "--limit", "2") == "a\nb\n"
    assert ran("list", url, "--limit", "2", "--after", "b") == "c\nd\n"
    assert ran("list", url, "--limit", "2", "--after", "d") == ""
    assert ran("list", url, "--limit", "0") == ""


def test_what_is_idle_is_listed_and_expires(url: str) -> None:
    add(url, "old", idle=91 * DAY, answer=StoredAnswer("key", "request", 2, True, time.time() - 91 * DAY, "{}"))
    add(url, "new", idle=89 * DAY, answer=StoredAnswer("key", "request", 2, True, time.time() - 2 * DAY, "{}"))
    add(url, "today", answer=StoredAnswer("key", "request", 2, True, time.time(), "{}"))
    assert ran("list", url, "--idle", "90d") == "old\n"
    assert ran("expire", url, "--retention", "90d") == "1 conversation deleted, and 1 old answers.\n"
    assert list(contents(url)) == ["new", "today"]
    with store_from_url(url) as store:
        assert store.read_answer("new", "key") is None
        assert store.read_answer("today", "key") is not None


def test_deleting_removes_log_head_and_answers(url: str) -> None:
    add(url, "anna", answer=StoredAnswer("key", "request", 2, True, time.time(), "{}"))
    add_all(url, ["ben", "carl"])
    assert ran("delete", url, "anna", "ben") == "2 conversations deleted.\n"
    with store_from_url(url) as store:
        assert store.sender_ids() == ["carl"]
        assert store.read_events("anna", 0, 9) == []
        assert store.read_answer("anna", "key") is None


def test_ids_that_do_not_exist_are_named_and_the_others_deleted(url: str) -> None:
    add_all(url, ["anna", "ben"])
    message = failed(1, "delete", url, "ana", "anna", "b\nen")
    assert message.startswith('Error: no such conversation: "ana", "b\\nen".')
    assert list(contents(url)) == ["ben"]


def test_an_id_that_is_no_json_string_is_refused_before_anything_is_deleted(url: str) -> None:
    add_all(url, ["anna"])
    assert "'5' is not a JSON string" in failed(2, "delete", url, "--format", "json", '"anna"', "5")
    assert list(contents(url)) == ["anna"]


# -- export and import


def test_what_is_exported_is_imported_with_the_same_versions(url: str, other_url: str, tmp_path: Path) -> None:
    add_all(url, [*SHOWN_ODDLY, *SHOWN_AS_THEY_ARE])
    add(url, "long", 3000)
    file = str(tmp_path / "talks.jsonl")
    assert ran("export", url, "-o", file) == f"13 conversations (3024 events) written to {file}.\n"
    assert ran("import", other_url, file) == "13 conversations imported (3024 events), 0 were there already.\n"
    assert contents(other_url).keys() == contents(url).keys()
    assert ran("export", other_url) == Path(file).read_text()
    assert ran("import", other_url, file) == "0 conversations imported (0 events), 13 were there already.\n"


def test_chosen_conversations_go_through_a_pipe(url: str, other_url: str) -> None:
    add_all(url, ["anna", "ben", "carl"])
    lines = ran("export", url, "anna", "carl")
    assert ran("import", other_url, "-", text=lines).startswith("2 conversations imported")
    assert list(contents(other_url)) == ["anna", "carl"]


def test_ids_that_cannot_be_exported_are_named(url: str, tmp_path: Path) -> None:
    add_all(url, ["anna"])
    file = tmp_path / "talks.jsonl"
    assert 'no such conversation: "ana"' in failed(1, "export", url, "ana", "anna", "-o", str(file))
    assert json.loads(file.read_text())["sender_id"] == "anna"


def test_a_store_without_conversations_gives_an_empty_file(url: str, tmp_path: Path) -> None:
    store_from_url(url).close()
    file = tmp_path / "talks.jsonl"
    assert ran("export", url, "-o", str(file)).startswith("0 conversations (0 events)")
    assert file.read_bytes() == b""


def test_only_the_owner_can_read_an_export(url: str, tmp_path: Path) -> None:
    add_all(url, ["anna"])
    file = tmp_path / "talks.jsonl"
    ran("export", url, "-o", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_an_export_follows_a_link(url: str, tmp_path: Path) -> None:
    add_all(url, ["anna"])
    (tmp_path / "link").symlink_to(tmp_path / "talks.jsonl")
    ran("export", url, "-o", str(tmp_path / "link"))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "talks.jsonl").is_file()


def test_a_pipe_is_written_to_and_not_replaced(url: str, tmp_path: Path) -> None:
    add_all(url, ["anna"])
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with process("export", url, "-o", str(pipe)) as exporting:
        assert json.loads(pipe.read_text())["sender_id"] == "anna"
        exporting.communicate()
    assert exporting.returncode == 0
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize(
    ("name", "problem"), [("", "Is a directory"), ("no/file", "No such file")], ids=["folder", "missing folder"]
)
def test_a_file_that_cannot_be_written_is_told(url: str, tmp_path: Path, name: str, problem: str) -> None:
    add_all(url, ["anna"])
    path = str(tmp_path / name)
    assert f"cannot write '{path}': {problem}" in failed(1, "export", url, "-o", path)


def test_an_export_that_fails_leaves_what_was_there(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_all(url, ["anna"])
    (tmp_path / "out").mkdir()
    file = tmp_path / "out" / "talks.jsonl"
    file.write_text("before")
    monkeypatch.setattr(os, "fsync", lambda descriptor: os.close(-1))
    assert "What was there is unchanged." in failed(1, "export", url, "-o", str(file))
    assert file.read_text() == "before"
    assert list(file.parent.iterdir()) == [file]


def test_lines_that_cannot_be_imported_are_told_and_the_others_stored(url: str, tmp_path: Path) -> None:
    add_all(url, ["anna", "ben"])
    file = tmp_path / "talks.jsonl"
    file.write_text(f"nonsense\n{ran('export', url, 'ben')}\n[]\n")
    add(url, "carl")
    ran("delete", url, "ben")
    finished = run("import", url, str(file))
    assert finished.exit_code == 1
    assert finished.stdout == "1 conversation imported (2 events), 0 were there already.\n"
    first, second, last = finished.stderr.splitlines()
    assert first.startswith(f"{file}:1: this is not a JSON object")
    assert second.startswith(f"{file}:4: expected an object, not list.")
    assert last == "Error: 2 of 3 conversations had a problem; see above."


def test_many_problems_are_counted_rather_than_told(url: str) -> None:
    finished = run("import", url, "-", text="nonsense\n" * 50)
    assert len(finished.stderr.splitlines()) == 22
    assert "50 of 50 conversations" in finished.stderr


def test_another_conversation_is_replaced_only_when_that_is_asked_for(url: str, other_url: str, tmp_path: Path) -> None:
    file = str(tmp_path / "talks.jsonl")
    add(url, "anna", 2)
    add(other_url, "anna", 5)
    ran("export", url, "-o", file)
    assert f"{file}:1: conversation 'anna' is stored already at version 5" in failed(1, "import", other_url, file)
    assert len(contents(other_url)["anna"]) == 5
    ran("import", other_url, file, "--replace")
    assert contents(other_url) == contents(url)


def test_a_missing_file_is_told(url: str, tmp_path: Path) -> None:
    assert "No such file" in failed(2, "import", url, str(tmp_path / "none"))


def test_an_imported_conversation_goes_on_with_its_bot(url: str, other_url: str, tmp_path: Path) -> None:
    agent = trained_agent(tmp_path, MOOD_DOMAIN, MOOD_STORIES)

    def bot(at: str) -> Agent:
        return Agent(agent.domain, agent.policy_ensemble, tracker_store=store_from_url(at))

    before = bot(url)
    before.handle_message("/greet", sender_id="anna")
    ran("import", other_url, "-", text=ran("export", url))
    after = bot(other_url)
    assert after.read_tracker("anna").version == before.read_tracker("anna").version
    assert after.handle_message("/great", sender_id="anna") == before.handle_message("/great", sender_id="anna")
    before.tracker_store.close()
    after.tracker_store.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Agent, str]]:
    """Yield an agent, and the address at which it is served."""
    agent = trained_agent(tmp_path, MOOD_DOMAIN, MOOD_STORIES)
    with served(create_app(agent, logfile=None)) as address:
        yield agent, address


def test_the_script_of_the_help_brings_the_conversations_of_a_running_server(
    server: tuple[Agent, str], url: str, tmp_path: Path
) -> None:
    agent, address = server
    for sender_id in ("anna", "Ü b", "50%"):
        for message in ("/greet", "/reset", "/greet"):
            agent.handle_message(message, sender_id=sender_id)
    needed_program("curl", "curl")
    help_text = ran("import", "--help")
    script = help_text[help_text.index("  server=") : help_text.index("Options:")]
    script = script.replace("http://localhost:5005", address).replace("sqlite:///conversations.db", url)
    script = script.replace("rasa-core store", f"{sys.executable} -m rasa_core.commands store")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "no_proxy": "*"}
    subprocess.run(["bash", "-e"], input=script, cwd=tmp_path, env=environment, text=True, check=True, timeout=60)
    with store_from_url(url, agent.domain) as store:
        assert store.sender_ids() == ["50%", "anna", "Ü b"]
        assert state(store, "Ü b") == agent.read_tracker("Ü b").current_state(should_include_events=True)


def state(store: EventLogStore, sender_id: str) -> dict[str, object]:
    tracker = store.retrieve(sender_id)
    assert tracker is not None
    return tracker.current_state(should_include_events=True)


# -- migrate


def test_migration_copies_all_and_then_what_is_new(url: str, other_url: str) -> None:
    add_all(url, [*SHOWN_ODDLY, *SHOWN_AS_THEY_ARE])
    add(url, "long", 3000)
    assert ran("migrate", url, other_url) == "13 conversations copied (3024 events), 0 were there already.\n"
    assert (contents(other_url), heads(other_url)) == (contents(url), heads(url))
    add(url, "new")
    assert ran("migrate", url, other_url) == "1 conversation copied (2 events), 13 were there already.\n"


def test_another_conversation_in_the_target_is_told_once_and_replaced_on_demand(url: str, other_url: str) -> None:
    add_all(url, ["anna", "ben"])
    add(other_url, "anna", 5)
    finished = run("migrate", url, other_url)
    assert finished.exit_code == 1
    assert finished.stdout == "1 conversation copied (2 events), 0 were there already.\n"
    assert finished.stderr.count("'anna'") == 1
    assert "Error: 1 of 2 conversations had a problem" in finished.stderr
    ran("migrate", url, other_url, "--replace")
    assert contents(other_url) == contents(url)


def test_a_conversation_that_changes_after_it_was_copied_is_told(
    url: str, other_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_all(url, ["anna", "ben"])
    verify = store_module.verify

    def verify_later(source: EventLogStore, target: EventLogStore) -> Iterator[Outcome]:
        add(url, "late")
        return verify(source, target)

    monkeypatch.setattr(store_module, "verify", verify_later)
    message = failed(1, "migrate", url, other_url)
    assert "conversation 'late' is not in the target. Stop the servers" in message


def test_two_stores_are_needed(url: str) -> None:
    assert "FROM_URL and TO_URL are the same" in failed(2, "migrate", url, url)


def test_a_store_under_two_names_has_everything_already(url: str) -> None:
    add_all(url, ["anna", "ben"])
    before = contents(url)
    other_name = f"sqlite:///{os.path.relpath(url.removeprefix('sqlite:///'))}"
    assert ran("migrate", url, other_name, "--replace").startswith("0 conversations copied (0 events), 2 were there")
    assert contents(url) == before


def test_a_reader_that_leaves_early_gets_no_traceback(url: str) -> None:
    with store_from_url(url) as store:
        for number in range(20):
            store.commit(f"{number:02}" * 5000, 0, [], Head(0, 0, "", 5.0, "{}"))
    with process("list", url) as listing:
        assert listing.stdout is not None
        assert listing.stdout.readline().startswith(b"0000")
        listing.stdout.close()
        assert listing.stderr is not None
        assert b"Traceback" not in listing.stderr.read()


def test_storage_that_is_busy_ends_the_command_with_what_to_do(url: str, other_url: str) -> None:
    add_all(url, ["anna"])
    with process("commit", "1", "migrate", url, other_url, program=(str(HALTED),)) as halted:
        assert halted.stdout is not None
        assert halted.stdout.readline() == b"here\n"
        message = failed(1, "migrate", url, f"{other_url}?timeout=0.05")
        halted.kill()
        halted.communicate()
    assert "'anna' was busy" in message
    assert "Run the same command again: it goes on where it stopped." in message


# -- deaths


@pytest.mark.parametrize("commit", [1, 2, 3, 4, 5, 6, 7])
def test_a_migration_that_was_killed_is_finished_by_the_next_run(url: str, other_url: str, commit: int) -> None:
    add_all(url, ["a", "b", "z"])
    add(url, "long", 3000)
    killed_before("commit", commit, "migrate", url, other_url)
    copied = sum(map(len, contents(other_url).values()))
    if 3 < commit < 7:
        with store_from_url(other_url, Domain.from_yaml("slots: {mood: {type: unfeaturized}}\n")) as store:
            part = store.retrieve("long")
            assert part is not None
            assert part.get_slot("mood") == part.version - 1 < 2999
    assert f"({3006 - copied} events)" in ran("migrate", url, other_url)
    assert (contents(other_url), heads(other_url)) == (contents(url), heads(url))


@pytest.mark.parametrize("commit", [1, 2, 3, 5])
def test_an_import_that_was_killed_is_finished_by_the_next_run(
    url: str, other_url: str, tmp_path: Path, commit: int
) -> None:
    add_all(url, ["a"])
    add(url, "long", 3000)
    file = str(tmp_path / "talks.jsonl")
    ran("export", url, "-o", file)
    killed_before("commit", commit, "import", other_url, file)
    ran("import", other_url, file)
    assert contents(other_url) == contents(url)


@pytest.mark.parametrize("before", [None, "an earlier export"], ids=["new", "replaced"])
@pytest.mark.parametrize("read", [1, 3])
def test_an_export_that_was_killed_leaves_no_half_file(url: str, tmp_path: Path, read: int, before: str | None) -> None:
    add_all(url, ["a", "b", "c"])
    file = tmp_path / "talks.jsonl"
    if before is not None:
        file.write_text(before)
    killed_before("read_events", read, "export", url, "-o", str(file))
    assert (file.read_text() if file.exists() else None) == before
    ran("export", url, "-o", str(file))
    assert len(file.read_text().splitlines()) == 3


def test_an_expiry_that_was_killed_is_finished_by_the_next_run(url: str) -> None:
    for sender_id in ("a", "b", "c"):
        add(url, sender_id, idle=2 * DAY)
    killed_before("delete", 2, "expire", url, "--retention", "1d")
    assert ran("expire", url, "--retention", "1d").startswith("2 conversations deleted")


# -- progress


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_tells_counts_rate_and_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(100))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(now)))
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Transferred("migrating", 4) as tally:
        tally.add(Outcome("a", 100))
    shown = terminal.getvalue()
    assert re.search(r"\rmigrating 25%  1 conversation  100 events  \d+ events/s  \d+ s left", shown), shown


def test_progress_does_without_a_known_total(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Transferred("importing", None) as tally:
        tally.add(Outcome("a", 100))
    assert re.search(r"\rimporting  1 conversation  100 events  \d+ events/s  0\.0 s\n", terminal.getvalue())


def test_problems_stand_on_lines_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Transferred("importing", 2) as tally:
        tally.add(Outcome("a", 100))
        tally.add(Outcome("b", problem="what is wrong"))
    assert "\nwhat is wrong\n" in terminal.getvalue()


def test_progress_goes_to_the_log_where_there_is_no_terminal(url: str, other_url: str) -> None:
    add_all(url, ["anna"])
    finished = run("migrate", url, other_url, "--verbose")
    assert "INFO: migrating 100%  1 conversation  2 events" in finished.stderr
    assert logging.getLogger("rasa_core").handlers == []
