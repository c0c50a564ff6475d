"""A process that an action forks ends after the action, and the turn continues once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from programs import until

from rasa_core.support.forks import let_go_of_server, pipes

RUN = """
import os, sys
from rasa_core.actions import Action
from rasa_core.actions.runner import LocalRunner
from rasa_core.channels.direct import CollectingOutputChannel
from rasa_core.dispatcher import Dispatcher
from rasa_core.domain import Domain
from rasa_core.trackers import DialogueStateTracker

class Forks(Action):
    def name(self):
        return "__main__.Forks"

    def run(self, dispatcher, tracker, domain):
        child = os.fork()
        if not child:
            print("child", flush=True)
            {child}
        else:
            print("ended with", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        return []

domain = Domain.from_yaml("actions: [__main__.Forks]")
tracker = DialogueStateTracker.from_events("x", [], domain)
LocalRunner(domain).run("__main__.Forks", Dispatcher("x", CollectingOutputChannel(), domain), tracker)
print("once")
"""
"""A program; `child` is what the child does."""


@pytest.mark.parametrize(
    ("child", "status", "told"),
    [
        ("pass", 1, "has forked came back from it"),
        ("sys.exit()", 0, ""),
        ("sys.exit(3)", 3, ""),
        ("sys.exit('no')", 1, "SystemExit: no"),
        ("1 / 0", 1, "ZeroDivisionError"),
        ("os._exit(4)", 4, ""),
    ],
)
def test_a_child_ends_where_it_would_leave_the_action(child: str, status: int, told: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(child=child)], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout == f"child\nended with {status}\nonce\n"
    assert told in done.stderr
    assert bool(told) == bool(done.stderr)


@pytest.mark.parametrize("is_other", [False, True])
def test_a_pipe_with_the_number_of_one_that_was_closed_is_kept(is_other: bool) -> None:
    reading, writing = os.pipe()
    known = {reading: os.fstat(reading).st_ino}
    if is_other:
        os.close(reading)
        other, far = os.pipe()
        assert other == reading
        os.close(far)
    try:
        let_go_of_server(1, known)
        assert (reading in pipes()) == is_other
    finally:
        if is_other:
            os.close(reading)
        os.close(writing)


WAITS = """
import sys
from rasa_core.commands.serve_project import _run_here
_run_here([sys.executable, "-c", sys.argv[1]])
"""
WORKS = """
import os, time
from rasa_core.support.forks import end_with_parent
end_with_parent()
print(os.getpid(), "RASA_CORE_ENDS_WITH" in os.environ, flush=True)
time.sleep(60)
"""


def is_at_work(pid: str) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split()
    except OSError:
        return False


def test_a_training_ends_with_the_server_that_waits_for_it() -> None:
    with subprocess.Popen([sys.executable, "-c", WAITS, WORKS], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        training, is_handed_on = server.stdout.readline().split()
        assert (Path("/proc") / training).exists()
        server.kill()
        assert server.stdout.read() == ""  # Until nobody has it open.

    assert is_handed_on == "False"
    until(lambda: not is_at_work(training))  # Its files are closed some time before it is gone.
