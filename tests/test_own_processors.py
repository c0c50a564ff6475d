"""Custom processors and agents that override the methods of 0.9 for the steps of a turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from rasa_core.actions import Action
from rasa_core.agent import Agent
from rasa_core.channels import CollectingOutputChannel, UserMessage
from rasa_core.dispatcher import Dispatcher
from rasa_core.domain import Domain, TemplateDomain
from rasa_core.events import Event, SlotSet, UserUttered
from rasa_core.exceptions import InterpreterError, ModelError
from rasa_core.interpreter import NaturalLanguageInterpreter, RegexInterpreter
from rasa_core.policies import MemoizationPolicy, PolicyEnsemble
from rasa_core.processor import MessageProcessor
from rasa_core.tracker_store import InMemoryTrackerStore
from rasa_core.trackers import DialogueStateTracker

DOMAIN = """
intents: [greet, inform, bye]
entities: [city]
slots: {city: {type: unfeaturized}, seen: {type: unfeaturized}}
templates: {utter_greet: ["hi {city}"], utter_bye: [bye]}
actions: [utter_greet, utter_bye]
"""
STORIES = '## a\n* greet\n - utter_greet\n* bye\n - utter_bye\n## b\n* inform{"city": "rome"}\n - utter_greet\n'


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Agent:
    stories = tmp_path_factory.mktemp("bot") / "stories.md"
    stories.write_text(STORIES, encoding="utf-8")
    made = Agent(Domain.from_yaml(DOMAIN), [MemoizationPolicy()])
    made.train(made.load_data(stories))
    return made


Make = Callable[[type[MessageProcessor]], MessageProcessor]


@pytest.fixture
def make(agent: Agent) -> Make:
    return lambda kind: kind(
        RegexInterpreter(), agent.policy_ensemble, agent.domain, InMemoryTrackerStore(agent.domain)
    )


def said(processor: MessageProcessor, text: str) -> list[str]:
    messages = processor.handle_message(UserMessage(text, CollectingOutputChannel(), "anna"))
    assert messages is not None
    return [message["text"] for message in messages]


def tracker_of(processor: MessageProcessor) -> DialogueStateTracker:
    return processor.tracker_store.get_or_create_tracker("anna")


def types_of(tracker: DialogueStateTracker) -> list[str]:
    return [event.type_name for event in tracker.events]


class Understands(MessageProcessor):
    def _parse_message(self, message: UserMessage) -> dict[str, Any]:
        if message.text == f"I am {message.sender_id}":
            return {"text": message.text, "intent": {"name": "greet", "confidence": 0.9}, "entities": []}
        return super()._parse_message(message)


def test_a_message_is_understood_in_a_way_of_its_own(make: Make) -> None:
    processor = make(Understands)

    assert said(processor, "I am anna") == ["hi None"]
    assert said(processor, "/bye") == ["bye"]
    state = processor.start_message_handling(UserMessage("I am anna", None, "anna"))
    assert state["tracker"]["latest_message"]["intent"] == {"name": "greet", "confidence": 0.9}
    assert types_of(tracker_of(processor))[:5] == ["action", "user", "action", "bot", "action"]


def test_what_is_no_parse_is_an_error_that_stores_nothing(make: Make) -> None:
    class Wrong(MessageProcessor):
        def _parse_message(self, message: UserMessage) -> dict[str, Any]:
            return {"intent": 3}

    processor = make(Wrong)
    with pytest.raises(InterpreterError, match="returned no parse"):
        said(processor, "hi")
    assert types_of(tracker_of(processor)) == ["action"]


class Filters(MessageProcessor):
    def _handle_message_with_tracker(self, message: UserMessage, tracker: DialogueStateTracker) -> None:
        parsed = self._parse_message(message)
        parsed["entities"] = [entity for entity in parsed["entities"] if entity["value"] != "oslo"]
        tracker.update(UserUttered(message.text, parsed["intent"], parsed["entities"], parsed))
        for event in self.domain.slots_for_entities(parsed["entities"]):
            tracker.update(event)


def test_a_message_is_taken_in_in_a_way_of_its_own(make: Make) -> None:
    processor = make(Filters)

    assert said(processor, '/inform{"city": ["rome", "oslo"]}') == ["hi rome"]
    processor.start_message_handling(UserMessage('/inform{"city": "oslo"}', None, "anna"))
    assert tracker_of(processor).get_slot("city") == "rome"


class Decides(MessageProcessor):
    def _get_next_action(self, tracker: DialogueStateTracker) -> Any:
        if tracker.latest_message.text == "enough" and tracker.latest_action_name == "action_listen":
            return self.domain.action_for_name("utter_bye")
        return super()._get_next_action(tracker)


def test_the_next_action_is_chosen_in_a_way_of_its_own(make: Make) -> None:
    processor = make(Decides)

    assert said(processor, "/greet") == ["hi None"]
    assert said(processor, "enough") == ["bye"]
    state = processor.start_message_handling(UserMessage("enough", None, "anna"))
    assert (state["next_action"], state["policy"]) == ("utter_bye", None)
    assert processor.continue_message_handling("anna", "utter_bye", [])["next_action"] == "action_listen"
    assert processor.start_message_handling(UserMessage("/greet", None, "bea"))["policy"] == "MemoizationPolicy"


class Acts(MessageProcessor):
    logged: list[tuple[str | None, int]]

    def _run_action(self, action: Any, tracker: DialogueStateTracker, dispatcher: Dispatcher) -> bool:
        if action.name() != "utter_bye":
            return super()._run_action(action, tracker, dispatcher)
        dispatcher.utter_message("see you")
        events = [SlotSet("seen", True)]
        self.log_bot_utterances_on_tracker(tracker, dispatcher)
        self._log_action_on_tracker(tracker, action.name(), events)
        self._schedule_reminders(events, dispatcher)
        return self.should_predict_another_action(action.name(), events)

    def _log_action_on_tracker(
        self, tracker: DialogueStateTracker, action_name: str | None, events: Iterable[Event] | None
    ) -> None:
        events = list(events or ())
        vars(self).setdefault("logged", []).append((action_name, len(events)))
        super()._log_action_on_tracker(tracker, action_name, events)


def test_actions_are_run_and_logged_in_a_way_of_their_own(make: Make) -> None:
    processor = make(Acts)
    assert isinstance(processor, Acts)

    assert said(processor, "/greet") == ["hi None"]
    assert said(processor, "/bye") == ["see you"]
    assert tracker_of(processor).get_slot("seen") is True
    processor.continue_message_handling("bea", "utter_greet", [SlotSet("seen", 1), SlotSet("city", "x")])
    assert [name for name, _ in processor.logged[:4]] == ["utter_greet", "action_listen", "utter_bye", "action_listen"]
    assert processor.logged[4] == ("utter_greet", 2)


class Failing(Action):
    def name(self) -> str:
        return "utter_greet"

    def run(self, *_: Any) -> list[Event]:
        raise OSError("no network")


def test_an_action_that_fails_does_not_end_the_turn(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    class Fails(MessageProcessor):
        def _get_next_action(self, tracker: DialogueStateTracker) -> Any:
            action = super()._get_next_action(tracker)
            return Failing() if action.name() == "utter_greet" else action

    processor = make(Fails)
    assert said(processor, "/greet") == []
    assert "the action 'utter_greet' failed" in caplog.text
    assert tracker_of(processor).is_listening()


class Quiet(MessageProcessor):
    def _should_handle_message(self, tracker: DialogueStateTracker) -> bool:
        return tracker.latest_message.intent.get("name") != "bye"


def test_whether_a_message_is_handled_is_decided_in_a_way_of_its_own(make: Make) -> None:
    processor = make(Quiet)

    assert [said(processor, text) for text in ("/bye", "/greet")] == [[], ["hi None"]]
    assert processor.start_message_handling(UserMessage("/bye", None, "anna"))["next_action"] is None


class Loops(MessageProcessor):
    def _predict_and_execute_next_action(self, message: UserMessage, tracker: DialogueStateTracker) -> None:
        dispatcher = Dispatcher(message.sender_id, message.output_channel, self.domain)
        dispatcher.utter_message(f"you said {message.text}")
        self.log_bot_utterances_on_tracker(tracker, dispatcher)
        while self._run_action(self._get_next_action(tracker), tracker, dispatcher):
            pass


def test_a_whole_turn_goes_in_a_way_of_its_own(make: Make) -> None:
    assert said(make(Loops), "/greet") == ["you said /greet", "hi None"]


class Keeps(MessageProcessor):
    saved = 0

    def _get_tracker(self, sender_id: str | None) -> DialogueStateTracker:
        tracker = super()._get_tracker(sender_id)
        if tracker.get_slot("city") is None:
            tracker.update(SlotSet("city", "paris"))
        return tracker

    def _save_tracker(self, tracker: DialogueStateTracker) -> None:
        self.saved += 1
        super()._save_tracker(tracker)


def test_conversations_are_read_and_stored_in_a_way_of_their_own(make: Make) -> None:
    processor = make(Keeps)
    assert isinstance(processor, Keeps)

    assert said(processor, "/greet") == ["hi paris"]
    assert processor.start_message_handling(UserMessage("/bye", None, "anna"))["next_action"] == "utter_bye"
    assert processor.continue_message_handling("anna", "utter_bye", [])["next_action"] == "action_listen"
    assert (processor.saved, tracker_of(processor).get_slot("city")) == (3, "paris")


def test_a_method_of_the_new_kind_wins_over_a_step_of_old(make: Make) -> None:
    class Both(Understands):
        def _parse_message(self, message: UserMessage) -> dict[str, Any]:
            raise AssertionError

        def log_message(self, tracker: DialogueStateTracker, text: str) -> None:
            self.take_message(tracker, UserUttered(text, {"name": "bye"}, []))

        def run_turn(self, tracker: DialogueStateTracker, message: UserMessage, *args: Any) -> None:
            MessageProcessor.run_turn(self, tracker, message, *args)

    processor = make(Both)
    assert said(processor, "/greet") == []


class Site(Agent):
    """An agent with a processor of its own, as packages for 0.9 had them."""

    def __init__(self, *args: Any, name: str = "", **options: Any) -> None:
        self.processor = None  # type: ignore[assignment]
        super().__init__(*args, **options)
        self.name = name

    @classmethod
    def load(cls, path: Any, interpreter: Any = None, tracker_store: Any = None, **options: Any) -> Any:
        domain = TemplateDomain.load(str(Path(path, "domain.yml")))
        domain.compare_with_specification(path)
        store = cls.create_tracker_store(tracker_store, domain)
        return cls(domain, PolicyEnsemble.load(path), NaturalLanguageInterpreter.create(interpreter), store, **options)

    def _create_processor(self, preprocessor: Any = None) -> MessageProcessor:
        self._ensure_agent_is_prepared()
        assert self.name == "site"
        parts = (self.interpreter, self.policy_ensemble, self.domain, self.tracker_store)
        self.processor = Understands(*parts, message_preprocessor=preprocessor)
        return self.processor


def test_an_agent_makes_a_processor_of_its_own(agent: Agent, tmp_path: Path) -> None:
    agent.persist(tmp_path / "model")
    site = Site.load(tmp_path / "model", name="site")

    def texts(text: str, **options: Any) -> list[str]:
        return [message["text"] for message in site.handle_message(text, sender_id="anna", **options)]

    assert texts("I am anna") == ["hi None"]
    assert texts("nonsense", message_preprocessor=lambda text: "/bye") == ["bye"]
    assert texts("I am anna") == ["hi None"], "The preprocessor was for one message."
    assert site.start_message_handling("I am bea", "bea")["next_action"] == "utter_greet"
    assert site.processor is site.processor
    assert isinstance(site.processor, Understands)


def test_a_processor_may_be_set_before_the_agent_is_ready(agent: Agent) -> None:
    class Early(Agent):
        def __init__(self) -> None:
            self.processor = Understands(RegexInterpreter(), agent.policy_ensemble, agent.domain, agent.tracker_store)
            super().__init__(agent.domain, agent.policy_ensemble)

    assert Early().handle_message("/greet") == [{"recipient_id": "default", "text": "hi None"}]


def test_an_agent_that_cannot_predict_says_so_to_its_own_processor() -> None:
    with pytest.raises(ModelError, match="has no policies and cannot predict"):
        Site(Domain.from_yaml(DOMAIN), name="site").handle_message("hi")
