"""A teaching session as a state machine: its questions, the effects of the answers, and recovery after a crash."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from at_once import at_once
from policy_bot import ITALIAN, remote_domain, stories
from scripted_teacher import ScriptedChannel, ScriptedTeacher

from rasa_core.agent import Agent
from rasa_core.channels.direct import CollectingOutputChannel
from rasa_core.commands.teach import teach
from rasa_core.domain import Domain
from rasa_core.events import ActionExecuted, BotUttered, Event, SlotSet, UserUttered
from rasa_core.exceptions import EventError, InterpreterError, UnknownActionError, UnknownSlotError
from rasa_core.interpreter import NaturalLanguageInterpreter, RegexInterpreter
from rasa_core.policies import MemoizationPolicy, PolicyEnsemble
from rasa_core.processor import MessageProcessor
from rasa_core.teaching.learning import Learner
from rasa_core.teaching.questions import FITTING, Answer, Choice, TeachingError
from rasa_core.teaching.session import TeachingSession
from rasa_core.tracker_store import InMemoryTrackerStore, SqliteTrackerStore, TrackerStore

CONFIRM, UNDO, RESTART, NO_MORE = (Answer(kind) for kind in ("confirm", "undo", "restart", "no_more_events"))


def say(text: str) -> Answer:
    return Answer("say", text)


def action(name: str) -> Answer:
    return Answer("correct_action", name)


class Lesson:
    """The state that several sessions share: the policies, the stories that they learn, and the store."""

    def __init__(
        self, domain: Domain, store: TrackerStore | None = None, interpreter: NaturalLanguageInterpreter | None = None
    ) -> None:
        memory = MemoizationPolicy()
        memory.train(stories(domain), domain)
        self.ensemble = PolicyEnsemble([memory])
        self.told: list[str] = []
        self.store = store or InMemoryTrackerStore(domain)
        self.store.bind(domain, self.ensemble.window, domain.fingerprint())
        self._processor = MessageProcessor(interpreter or RegexInterpreter(), self.ensemble, domain, self.store)
        self._learner = Learner(self.ensemble, stories(domain), self.told.append)

    def session(self, sender_id: str = "pupil", *answers: Answer) -> TeachingSession:
        session = TeachingSession(self._processor, self._learner, sender_id)
        for answer in answers:
            session.answer(answer)
        return session


@pytest.fixture
def lesson(domain) -> Lesson:
    return Lesson(domain)


@pytest.fixture
def remote_lesson() -> Lesson:
    """Actions that say nothing run in code of somebody's own."""
    return Lesson(remote_domain())


def where(session: TeachingSession) -> tuple[str, str | None]:
    question = session.next()
    return question.state, question.action


def story(session: TeachingSession) -> list[str]:
    return [line for one in session.stories() for line in one.export_stories().splitlines()[1:]]


# -- transitions


@pytest.mark.parametrize(
    ("answers", "state", "predicted"),
    [
        ([], "message", None),
        ([say("/greet")], "action", "utter_greet"),
        ([say("/greet"), CONFIRM], "action", "utter_ask_cuisine"),
        ([say("/bye"), CONFIRM, CONFIRM], "message", None),
        ([say("/greet"), action("utter_bye")], "action", "action_listen"),
        ([say("/greet"), action("action_listen")], "message", None),
        ([say("/greet"), Answer("correct_intent", "bye")], "action", "utter_bye"),
        ([say("/greet"), Answer("correct_intent", "restart")], "message", None),
        ([say("/greet"), CONFIRM, UNDO], "action", "utter_greet"),
        ([say("/greet"), UNDO], "message", None),
        ([say("/bye"), CONFIRM, CONFIRM, UNDO], "action", "action_listen"),
        ([say("/bye"), CONFIRM, CONFIRM, say("/thank"), UNDO, UNDO, UNDO], "action", "utter_bye"),
        ([say("/greet"), RESTART], "message", None),
        ([RESTART], "message", None),
        ([say("/restart")], "message", None),
        ([say(ITALIAN), CONFIRM], "action", "utter_found"),
    ],
)
def test_what_is_asked_follows_from_the_answers(lesson, answers, state, predicted) -> None:
    assert where(lesson.session("pupil", *answers)) == (state, predicted)


@pytest.mark.parametrize(
    ("answers", "state", "predicted"),
    [
        ([], "events", "action_search"),
        ([Answer("report_event", 'slot{"found": "Da Mario"}')], "events", "action_search"),
        ([Answer("report_event", 'slot{"found": "Da Mario"}'), NO_MORE], "action", "utter_found"),
        ([NO_MORE], "action", "utter_found"),
        ([UNDO], "action", "action_search"),
        ([RESTART], "message", None),
        ([Answer("report_event", "pause"), NO_MORE], "message", None),
        ([Answer("report_event", "pause"), NO_MORE, say("/greet")], "message", None),
        ([Answer("report_event", "pause"), Answer("report_event", "resume"), NO_MORE], "action", "utter_found"),
        ([Answer("report_event", 'followup{"name": "utter_bye"}'), NO_MORE], "action", "action_listen"),
    ],
)
def test_actions_that_run_elsewhere_are_done_once_their_events_are_known(
    remote_lesson, answers, state, predicted
) -> None:
    session = remote_lesson.session("pupil", say(ITALIAN), CONFIRM)
    if (state, predicted) == ("action", "utter_found"):
        assert where(session) == ("events", "action_search")
    for answer in answers:
        session.answer(answer)
    assert where(session) == (state, predicted)


def test_a_question_has_what_one_needs_to_answer_it(lesson) -> None:
    session = lesson.session("pupil", say(ITALIAN), CONFIRM)
    question = session.next()
    assert question.turns == (
        f'user: {ITALIAN}  (inform{{"cuisine": "italian"}}, 1.00)',
        '      slot{"cuisine": "italian"}',
        "bot:  action_search",
        '      slot{"found": "Da Mario"}',
    )
    assert (question.policy, question.confidence, question.can_undo) == ("MemoizationPolicy", 1.0, True)
    assert question.actions[0] == Choice("utter_found", 1.0)
    assert (question.intent, question.intents[0].name) == ("inform", "inform")
    assert question.slots["found"] == "Da Mario"
    sent = json.loads(json.dumps(question.as_json()))
    assert sent["state"] == "action"
    assert sent["actions"][0] == {"name": "utter_found", "probability": 1.0}
    assert session.next() == question
    assert not lesson.session("anna").next().can_undo


def test_an_answer_returns_what_happened_and_says_what_the_bot_says(lesson) -> None:
    session, channel = lesson.session(), CollectingOutputChannel()
    heard = session.answer(say(ITALIAN))
    assert [type(event) for event in heard] == [UserUttered, SlotSet]
    done = session.answer(CONFIRM, channel=channel)
    assert [type(event) for event in done] == [ActionExecuted, BotUttered, SlotSet]
    assert [message["text"] for message in channel.messages] == ["searching ..."]
    assert session.answer(UNDO)[0].type_name == "undo"
    assert lesson.store.retrieve("pupil").get_slot("found") is None


def test_entities_are_corrected_with_the_intent(lesson) -> None:
    session = lesson.session("pupil", say("/greet"))
    entity = {"entity": "cuisine", "value": "thai", "start": 0, "end": 4}
    session.answer(Answer("correct_intent", "inform", (entity,)))
    tracker = lesson.store.retrieve("pupil")
    assert tracker.latest_message.intent == {"name": "inform", "confidence": 1.0}
    assert (tracker.latest_message.entities, tracker.get_slot("cuisine")) == ([entity], "thai")
    assert where(session) == ("action", "action_search")


# -- answers that do not fit


@pytest.mark.parametrize(
    ("before", "answer", "problem"),
    [
        ([], CONFIRM, "'confirm' does not fit: the session waits for a message of the user. Expected: say, undo, rest"),
        ([say("/greet")], say("/bye"), "waits for a verdict on the predicted action. Expected: confirm, correct_acti"),
        ([say("/greet")], NO_MORE, "'no_more_events' does not fit"),
        ([], UNDO, "there is nothing to take back: the story has just begun"),
        ([say("/greet"), RESTART], UNDO, "there is nothing to take back"),
        ([say("/greet")], Answer("correct_intent", "grret"), r"no intent 'grret'\. Did you mean 'greet'"),
        ([say("/greet")], Answer("shout"), "'shout' does not fit"),
    ],
)
def test_an_answer_that_does_not_fit_says_what_is_expected_and_changes_nothing(lesson, before, answer, problem) -> None:
    session = lesson.session("pupil", *before)
    question = session.next()
    with pytest.raises(TeachingError, match=problem):
        session.answer(answer)
    assert session.next() == question


@pytest.mark.parametrize(
    ("answer", "error", "problem"),
    [
        (CONFIRM, TeachingError, "waits for the events of an action that runs elsewhere. Expected: report_event, no_"),
        (Answer("report_event", 'slot{"fond": 1}'), UnknownSlotError, "no slot 'fond'"),
        (Answer("report_event", "slot{found"), EventError, "not a JSON object"),
        (Answer("report_event", "utter_bye"), EventError, "'utter_bye' is no event. An event is like slot"),
        (Answer("report_event", "* greet"), EventError, "is no event"),
    ],
)
def test_events_that_are_none_are_told_and_change_nothing(remote_lesson, answer, error, problem) -> None:
    session = remote_lesson.session("pupil", say(ITALIAN), CONFIRM)
    question = session.next()
    with pytest.raises(error, match=problem):
        session.answer(answer)
    assert session.next() == question


def test_an_unknown_action_is_told_and_not_learnt(lesson) -> None:
    session = lesson.session("pupil", say("/greet"))
    with pytest.raises(UnknownActionError, match=r"no action 'utter_gret'\. Did you mean 'utter_greet'"):
        session.answer(action("utter_gret"))
    assert (where(session), lesson.told) == (("action", "utter_greet"), [])


@pytest.mark.parametrize(
    "entities", [({"value": "x"},), ({"entity": 3, "value": "x"},)], ids=["without a name", "no name"]
)
def test_entities_that_are_none_change_nothing(lesson, entities) -> None:
    session = lesson.session("pupil", say("/greet"))
    with pytest.raises(EventError, match="entit"):
        session.answer(Answer("correct_intent", "inform", entities))
    assert where(session) == ("action", "utter_greet")


def test_a_message_that_is_not_understood_is_not_there(domain) -> None:
    class Fails(NaturalLanguageInterpreter):
        def parse(self, text: str) -> dict[str, Any]:
            raise InterpreterError("the NLU server is down.")

    session = Lesson(domain, interpreter=Fails()).session()
    with pytest.raises(InterpreterError, match="down"):
        session.answer(say("hello"))
    assert where(session) == ("message", None)


def test_a_message_that_perhaps_means_a_restart_is_asked_about(domain) -> None:
    class Guesses(NaturalLanguageInterpreter):
        def parse(self, text: str) -> dict[str, Any]:
            return {"text": text, "intent": {"name": "restart", "confidence": 0.05}, "entities": []}

    lesson = Lesson(domain, interpreter=Guesses())
    session = lesson.session("pupil", say("again"))
    assert session.next().state == "action"
    heard = [event for event in lesson.store.retrieve("pupil").events if isinstance(event, ActionExecuted)]
    assert [event.action_name for event in heard] == ["action_listen"]


def test_an_answer_to_an_earlier_question_is_refused(lesson) -> None:
    one, other = lesson.session("pupil", say("/greet")), lesson.session("pupil")
    asked = other.next()
    one.answer(CONFIRM, asked.version)
    with pytest.raises(TeachingError, match=rf"asked at version {asked.version} of 'pupil', which is at \d+ now"):
        other.answer(CONFIRM, asked.version)
    other.answer(CONFIRM, other.next().version)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"kind": "say", "text": "/greet"}, say("/greet")),
        ({"kind": "confirm"}, CONFIRM),
        ({"kind": "correct_intent", "text": "bye", "entities": []}, Answer("correct_intent", "bye", ())),
        ({"kind": "undo", "text": None}, UNDO),
    ],
)
def test_answers_are_read_from_json(content, expected) -> None:
    assert Answer.from_json(content) == expected


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, '"kind" of an answer is None; expected one of say, undo'),
        ({"kind": "confrm"}, "Did you mean 'confirm'"),
        ({"kind": "say", "text": 3}, 'perhaps a text "text"'),
        ({"kind": "say", "words": "hi"}, 'an answer has "kind"'),
        ({"kind": "correct_intent", "entities": {}}, 'a list "entities"'),
    ],
)
def test_what_is_no_answer_is_told(content, problem) -> None:
    with pytest.raises(TeachingError, match=problem):
        Answer.from_json(content)


def test_every_kind_of_answer_fits_somewhere() -> None:
    for kind in {kind for kinds in FITTING.values() for kind in kinds}:
        assert Answer.from_json({"kind": kind}).kind == kind


# -- learning and forgetting


def test_a_correction_is_learnt_at_once_and_the_bot_goes_on_with_it(lesson) -> None:
    session = lesson.session("pupil", say("/greet"), action("utter_bye"), action("action_listen"))
    assert lesson.told[:2] == [
        "The stories say utter_greet here: change them, or they contradict what you teach.",
        "Learnt: utter_bye.",
    ]
    assert where(lesson.session("somebody else", say("/greet"))) == ("action", "utter_bye")
    assert story(session) == ["* greet", "    - utter_bye"]


def test_a_correction_that_is_taken_back_is_unlearnt(lesson) -> None:
    session = lesson.session("pupil", say("/greet"), action("utter_bye"), UNDO)
    assert where(session) == ("action", "utter_greet")
    session.answer(action("utter_welcome"))
    assert where(lesson.session("somebody else", say("/greet"))) == ("action", "utter_welcome")


def test_what_was_corrected_twice_is_unlearnt_as_far_as_the_stories(lesson) -> None:
    lesson.session("anna", say("/greet"), action("utter_bye"))
    session = lesson.session("pupil", say("/greet"), action("utter_welcome"), UNDO)
    assert where(session) == ("action", "utter_greet")


def test_interrupted_actions_are_told_in_the_story(lesson, monkeypatch) -> None:
    def interrupted(self, *arguments: object) -> list[Event]:
        raise KeyboardInterrupt

    monkeypatch.setattr("policy_bot.ActionSearch.run", interrupted)
    session = lesson.session("pupil", say(ITALIAN))
    with pytest.raises(KeyboardInterrupt):
        session.answer(CONFIRM)
    assert story(lesson.session("pupil"))[-1] == '    - action_search{"failed": true}'


# -- going on


def test_a_session_goes_on_where_it_was(lesson) -> None:
    answers = [say("/greet"), CONFIRM, action("utter_bye"), action("action_listen"), say("/thank"), UNDO, say(ITALIAN)]
    answers += [action("action_search"), CONFIRM]
    in_one = lesson.session("in one", *answers)
    for answer in answers:
        lesson.session("pupil").answer(answer)
        assert lesson.session("pupil").next().state in FITTING
    assert where(lesson.session("pupil")) == where(in_one)
    assert story(lesson.session("pupil")) == story(in_one)


def test_events_are_asked_for_again_where_nobody_said_that_there_are_no_more(remote_lesson) -> None:
    session = remote_lesson.session("pupil", say(ITALIAN), CONFIRM, Answer("report_event", 'slot{"found": "x"}'))
    assert where(remote_lesson.session("pupil")) == ("events", "action_search")
    session.answer(NO_MORE)
    assert where(remote_lesson.session("pupil", NO_MORE)) == where(session) == ("action", "utter_found")


def test_two_people_teach_at_once(lesson) -> None:
    anna, ben = lesson.session("anna"), lesson.session("ben")
    for session in (anna, ben):
        session.answer(say("/greet"))
    anna.answer(action("utter_bye"))
    ben.answer(CONFIRM)  # What anna has taught.
    ben.answer(action("utter_welcome"))
    assert story(anna) == ["* greet", "    - utter_bye"]
    assert story(ben) == ["* greet", "    - utter_bye", "    - utter_welcome"]
    assert where(anna) == ("action", "utter_welcome")


def test_sessions_in_several_threads_share_a_learner(lesson) -> None:
    def work(name: str) -> list[str]:
        session = lesson.session(name)
        for _ in range(5):
            for answer in (say("/greet"), action("utter_welcome"), action("action_listen")):
                session.answer(answer)
        return story(session)

    found = at_once(work, [f"pupil {number}" for number in range(4)])
    assert found == [["* greet", "    - utter_welcome"] * 5] * 4


# -- at the terminal


def test_a_turn_that_was_left_is_finished_first(domain, memory) -> None:
    agent = Agent(domain, [memory])
    teach(agent, [], ScriptedChannel(["/greet"]), teacher=ScriptedTeacher("1", "0", "-"))
    teacher = ScriptedTeacher("2", "action_listen", "2", "utter_bye", "2", "action_listen", "-")
    (taught,) = teach(agent, [], ScriptedChannel(["/bye"]), teacher=teacher)
    assert taught.export_stories().splitlines()[1:] == ["* greet", "    - utter_greet", "* bye", "    - utter_bye"]


def test_a_step_is_taken_back(domain, memory) -> None:
    teacher = ScriptedTeacher("1", "4", "2", "utter_bye", "2", "action_listen", "-")
    (taught,) = teach(Agent(domain, [memory]), [], ScriptedChannel(["/greet"]), teacher=teacher)
    assert taught.export_stories().splitlines()[1:] == ["* greet", "    - utter_bye"]
    assert "1, 2, 3, 4 or 0? " in teacher.screen


PROGRAM = """
import os, signal, sys
sys.path[:0] = sys.argv[2:]
from policy_bot import ActionSearch, local_domain
from test_teaching_session import Lesson, Answer, SqliteTrackerStore

def killed(self, *arguments):
    os.kill(os.getpid(), signal.SIGKILL)

ActionSearch.run = killed
lesson = Lesson(local_domain(), SqliteTrackerStore(path=sys.argv[1]))
session = lesson.session()
for kind, text in (("say", "/greet"), ("correct_action", "utter_bye"), ("correct_action", "action_search")):
    session.answer(Answer(kind, text))
    print(session.next().version, flush=True)
"""


def test_a_killed_process_loses_nothing_that_was_answered(domain, tmp_path) -> None:
    file, tests = tmp_path / "teaching.db", Path(__file__).resolve().parents[1]
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(file), str(tests), str(tests / "teaching"), str(tests.parent)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | {"PYTHONHASHSEED": "0"},
    )
    assert finished.returncode == -signal.SIGKILL, finished.stderr
    versions = finished.stdout.split()
    with SqliteTrackerStore(path=str(file)) as store:
        lesson = Lesson(domain, store)
        session = lesson.session()
        question = session.next()
        assert (len(versions), question.state, question.version) == (2, "action", int(versions[-1]))
        # What was corrected is known again, in a process whose policies had never heard of it.
        assert "Learnt: utter_bye." in lesson.told
        assert where(lesson.session("somebody else", say("/greet"))) == ("action", "utter_bye")
        session.answer(CONFIRM, question.version)
        assert story(session) == ["* greet", "    - utter_bye"]
