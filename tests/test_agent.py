from __future__ import annotations

import io
from pathlib import Path

import pytest
from at_once import at_once
from policy_bot import DOMAIN, FOUND, ITALIAN, FixedScores, conversation, local_domain, remote_domain, stories
from scripted_teacher import ScriptedChannel, ScriptedTeacher

import rasa_core
from rasa_core.agent import Agent
from rasa_core.channels import InputChannel, UserMessage
from rasa_core.channels.direct import CollectingOutputChannel
from rasa_core.commands.teach import teach
from rasa_core.conversation import story_lines
from rasa_core.domain import Domain
from rasa_core.events import ActionExecuted, SlotSet
from rasa_core.exceptions import (
    DomainError,
    InterpreterError,
    ModelError,
    RasaCoreError,
    UnknownActionError,
    UnknownSlotError,
)
from rasa_core.interpreter import NaturalLanguageInterpreter, RasaNLUHttpInterpreter, RegexInterpreter
from rasa_core.policies import (
    AugmentedMemoizationPolicy,
    FallbackPolicy,
    MemoizationPolicy,
    NGramPolicy,
    PolicyEnsemble,
    SimplePolicyEnsemble,
)
from rasa_core.stories import extract_story_graph
from rasa_core.tracker_store import InMemoryTrackerStore, SqliteTrackerStore, TrackerStore
from rasa_core.trackers import DialogueStateTracker

STORIES = """
## hello
* greet
    - utter_greet
    - utter_ask_cuisine
* inform{"cuisine": "italian"}
    - action_search
    - slot{"found": "Da Mario"}
    - utter_found

## goodbye
* bye
    - utter_bye
"""


@pytest.fixture
def domain() -> Domain:
    return local_domain()


@pytest.fixture
def agent(domain: Domain) -> Agent:
    """Return an agent that knows the stories and listens everywhere else."""
    made = Agent(domain, [MemoizationPolicy()])
    made.train(stories(domain))
    return made


@pytest.fixture
def model(agent: Agent, tmp_path: Path) -> Path:
    agent.persist(tmp_path / "model")
    return tmp_path / "model"


class TestConstruction:
    def test_a_domain_may_be_a_path(self, tmp_path) -> None:
        (tmp_path / "domain.yml").write_text(DOMAIN)
        for path in (tmp_path / "domain.yml", str(tmp_path / "domain.yml")):
            assert Agent(path).domain.intents == ["greet", "inform", "thank", "bye", "restart"]

    @pytest.mark.parametrize("domain", [None, 3, {"intents": []}])
    def test_anything_else_is_no_domain(self, domain) -> None:
        with pytest.raises(ValueError, match="domain is a Domain or the path of a domain file, not"):
            Agent(domain)

    def test_a_missing_domain_is_named(self, tmp_path) -> None:
        with pytest.raises(DomainError, match=r"cannot read the domain .*nowhere.yml"):
            Agent(tmp_path / "nowhere.yml")

    def test_policies_may_be_a_list_an_ensemble_or_missing(self, domain) -> None:
        ensemble = PolicyEnsemble([MemoizationPolicy()])
        assert Agent(domain, ensemble).policy_ensemble is ensemble
        made = Agent(domain, [FallbackPolicy(), MemoizationPolicy()]).policy_ensemble
        assert isinstance(made, SimplePolicyEnsemble)
        assert [type(policy) for policy in made.policies] == [FallbackPolicy, MemoizationPolicy]
        assert Agent(domain).policy_ensemble.policies == []

    def test_a_single_policy_is_refused(self, domain) -> None:
        with pytest.raises(ValueError, match=r"write policies=\[\.\.\.\] around a single policy"):
            Agent(domain, MemoizationPolicy())

    def test_an_interpreter_may_be_missing_an_object_or_an_address(self, domain) -> None:
        own = RegexInterpreter()
        assert isinstance(Agent(domain).interpreter, RegexInterpreter)
        assert Agent(domain, interpreter=own).interpreter is own
        by_address = Agent(domain, interpreter="http://localhost:5000").interpreter
        assert isinstance(by_address, RasaNLUHttpInterpreter)

    def test_an_interpreter_that_cannot_be_made_is_an_error(self, domain) -> None:
        with pytest.raises(InterpreterError, match="nlu/model"):
            Agent(domain, interpreter="nlu/model")
        with pytest.raises(ValueError, match="not int"):
            Agent(domain, interpreter=3)

    def test_conversations_are_kept_in_memory_unless_a_store_is_given(self, domain) -> None:
        assert isinstance(Agent(domain).tracker_store, InMemoryTrackerStore)
        store = InMemoryTrackerStore()
        assert Agent(domain, tracker_store=store).tracker_store is store
        assert store.domain is domain

    @pytest.mark.parametrize("given", ["sqlite:///bot.db", "", Path("bot.db"), InMemoryTrackerStore])
    def test_what_is_no_store_is_told_with_the_way_to_one(self, domain, given) -> None:
        with pytest.raises(ValueError, match=f"{type(given).__name__}: tracker_store=store_from_url"):
            Agent(domain, tracker_store=given)

    def test_a_store_can_be_made_as_ever(self, domain) -> None:
        assert isinstance(Agent.create_tracker_store(None, domain), InMemoryTrackerStore)
        store = TrackerStore()
        assert Agent.create_tracker_store(store, domain) is store
        assert store.domain is domain

    def test_it_stands_at_the_top_of_the_package(self) -> None:
        assert rasa_core.Agent is Agent
        assert all(hasattr(rasa_core, name) for name in rasa_core.__all__)


class TestTraining:
    def test_from_a_story_file(self, domain, tmp_path) -> None:
        (tmp_path / "stories.md").write_text(STORIES)
        agent = Agent(domain, [MemoizationPolicy()])
        trackers = agent.load_data(tmp_path / "stories.md", augmentation_factor=0)
        assert len(trackers) == 2
        agent.train(trackers)
        assert [message["text"] for message in agent.handle_message("/greet")] == ["hello", "which cuisine?"]
        assert [message["text"] for message in agent.handle_message(ITALIAN)] == [
            "searching ...",
            "try Da Mario",
        ]

    def test_with_stories_glued_together(self, domain, tmp_path) -> None:
        (tmp_path / "stories.md").write_text(STORIES)
        agent = Agent(domain, [MemoizationPolicy(), AugmentedMemoizationPolicy()])
        agent.train(agent.load_data(str(tmp_path / "stories.md"), augmentation_factor=5))
        agent.persist(tmp_path / "model")
        assert (tmp_path / "model" / "stories.md").read_text().count("## ") == 2

    def test_a_file_name_still_works_with_a_warning(self, domain, tmp_path) -> None:
        (tmp_path / "stories.md").write_text(STORIES)
        agent = Agent(domain, [MemoizationPolicy()])
        with pytest.warns(DeprecationWarning, match=r"agent\.train\(agent\.load_data\(path\)\)"):
            agent.train(str(tmp_path / "stories.md"))
        assert agent.start_message_handling("/bye")["next_action"] == "utter_bye"

    def test_trackers_may_come_one_by_one(self, domain) -> None:
        agent = Agent(domain, [MemoizationPolicy(), MemoizationPolicy(max_history=2)])
        agent.train(tracker for tracker in stories(domain))
        assert all(policy.lookup for policy in agent.policy_ensemble.policies)

    def test_a_featurizer_belongs_to_a_policy(self, agent, domain) -> None:
        with pytest.raises(ValueError, match="a featurizer is given to a policy, not to train: policies="):
            agent.train(stories(domain), featurizer=3)

    def test_the_history_of_a_script_of_old_is_that_of_all_policies(self, domain, tmp_path) -> None:
        (tmp_path / "stories.md").write_text(STORIES)
        policies = [MemoizationPolicy(), NGramPolicy(), AugmentedMemoizationPolicy()]
        agent = Agent(domain, policies)
        with pytest.warns(DeprecationWarning, match=r"max_history is given to policies|train takes trackers"):
            agent.train(str(tmp_path / "stories.md"), max_history=2, augmentation_factor=0, epochs=1)
        assert [policy.max_history for policy in policies] == [2, 2, 2]
        assert MemoizationPolicy().max_history == 5
        agent.persist(tmp_path / "model")
        assert [one.max_history for one in Agent.load(tmp_path / "model").policy_ensemble.policies] == [2, 2, 2]

    @pytest.mark.parametrize("value", [0, -1, "3", None])
    def test_a_history_that_is_no_number_is_refused(self, agent, domain, value) -> None:
        with (
            pytest.warns(DeprecationWarning, match="max_history"),
            pytest.raises(ValueError, match="max_history is a number of states, at least 1"),
        ):
            agent.train(stories(domain), max_history=value)

    def test_unknown_options_are_ignored(self, agent, domain) -> None:
        agent.train(stories(domain), epochs=1, colour="blue")

    def test_without_policies_there_is_nothing_to_train(self, domain) -> None:
        with pytest.raises(ValueError, match="nothing to train: give the Agent policies="):
            Agent(domain).train(stories(domain))

    @pytest.mark.parametrize("trackers", [[3], [["hello"]]])
    def test_anything_but_trackers_is_refused(self, agent, trackers) -> None:
        with pytest.raises(ValueError, match=r"train takes trackers, not .*load_data"):
            agent.train(trackers)

    def test_a_domain_with_doubles_is_refused(self) -> None:
        agent = Agent(Domain(["greet", "greet"], [], [], {}), [MemoizationPolicy()])
        with pytest.raises(DomainError, match="intents of the domain stand there more than once: greet"):
            agent.train([])

    def test_stories_can_be_drawn(self, agent, tmp_path) -> None:
        (tmp_path / "stories.md").write_text(STORIES)
        agent.visualize(tmp_path / "stories.md", tmp_path / "graph.html", max_history=2)
        assert "utter_ask_cuisine" in (tmp_path / "graph.html").read_text()

    def test_memoization_can_be_switched_off_for_the_class_itself_only(self, domain) -> None:
        plain, augmented = MemoizationPolicy(), AugmentedMemoizationPolicy()
        agent = Agent(domain, [plain, augmented])
        agent.toggle_memoization(False)
        assert (plain.is_enabled, augmented.is_enabled) == (False, True)
        agent.toggle_memoization(True)
        assert plain.is_enabled


class TestModels:
    def test_a_loaded_agent_answers_the_same(self, agent, model) -> None:
        loaded = Agent.load(model)
        for text in ("/greet", ITALIAN, "/thank", "/nonsense"):
            first, second = (each.start_message_handling(text) for each in (agent, loaded))
            for answer in (first, second):
                del answer["tracker"]["latest_event_time"]
            assert first == second

    def test_a_loaded_agent_writes_the_same_model(self, model, tmp_path) -> None:
        Agent.load(str(model)).persist(tmp_path / "again")
        for file in (path for path in model.rglob("*") if path.is_file()):
            assert (tmp_path / "again" / file.relative_to(model)).read_bytes() == file.read_bytes()

    def test_a_conversation_of_any_name_is_one_story_of_the_model(self, domain, tmp_path) -> None:
        agent = Agent(domain, [MemoizationPolicy()])
        name = "a\r\n## b\n* bye\n - utter_bye\ud800"
        agent.train([conversation(domain, "/greet", "utter_greet", sender_id=name)])
        agent.persist(tmp_path / "model")
        written = extract_story_graph(tmp_path / "model" / "stories.md", domain).story_steps
        assert [step.block_name for step in written] == ["a ## b * bye  - utter_bye\\ud800"]
        assert Agent.load(tmp_path / "model").start_message_handling("/greet")["next_action"] == "utter_greet"

    def test_further_hashes_of_the_input_are_kept(self, agent, tmp_path) -> None:
        agent.persist(tmp_path / "model", {"files": "abc"})
        prints = PolicyEnsemble.load_metadata(tmp_path / "model")["fingerprints"]
        assert prints["files"] == "abc"
        assert set(prints) == {"domain", "stories", "files"}

    def test_interpreter_and_store_are_the_callers(self, model) -> None:
        interpreter, store = RegexInterpreter(), InMemoryTrackerStore()
        loaded = Agent.load(model, interpreter, store)
        assert loaded.interpreter is interpreter
        assert loaded.tracker_store is store

    def test_actions_may_move_to_the_callers_code(self, model) -> None:
        loaded = Agent.load(model, action_factory="remote")
        with pytest.raises(RasaCoreError, match="runs in your own code"):
            loaded.handle_message(ITALIAN)

    def test_no_path_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="No domain path specified"):
            Agent.load(None)

    def test_a_file_is_an_error(self, tmp_path) -> None:
        (tmp_path / "model.zip").write_text("")
        with pytest.raises(ValueError, match="is a file, not a model directory"):
            Agent.load(tmp_path / "model.zip")

    def test_other_texts_need_no_training(self, model) -> None:
        file = model / "domain.yml"
        file.write_text(file.read_text().replace("text: hello", "text: good morning"))
        assert Agent.load(model).handle_message("/greet")[0]["text"] == "good morning"

    def test_other_slots_need_training(self, model) -> None:
        file = model / "domain.yml"
        file.write_text(file.read_text().replace("  found:\n", "  lost:\n"))
        with pytest.raises(ModelError, match="has changed since it was trained: you MUST retrain the policies"):
            Agent.load(model)

    def test_a_policy_as_written_for_0_9_is_loaded(self, domain, tmp_path) -> None:
        scores = [float(name == "utter_bye") for name in domain.action_names]
        agent = Agent(domain, [FixedScores(scores)])
        agent.train(stories(domain), epochs=3)
        agent.persist(tmp_path / "model")
        answer = Agent.load(tmp_path / "model").start_message_handling("/greet")
        assert (answer["next_action"], answer["policy"]) == ("utter_bye", "FixedScores")

    def test_stored_conversations_go_on_with_another_model(self, model, tmp_path) -> None:
        with SqliteTrackerStore(path=tmp_path / "log.db") as store:
            Agent.load(model, tracker_store=store).start_message_handling(ITALIAN, "anna")
            longer = Agent(local_domain(), [MemoizationPolicy(max_history=9)], tracker_store=store)
            longer.train(stories(longer.domain))
            answer = longer.continue_message_handling("anna", "action_search", [FOUND])
        assert answer["next_action"] == "utter_found"
        assert answer["tracker"]["slots"]["cuisine"] == "italian"


class TestConversations:
    def test_the_callers_code_runs_the_actions(self) -> None:
        agent = Agent(remote_domain(), [MemoizationPolicy()])
        agent.train(stories(agent.domain))
        assert agent.start_message_handling(ITALIAN, "anna")["next_action"] == "action_search"
        assert agent.continue_message_handling("anna", "action_search", [FOUND])["next_action"] == "utter_found"
        answer = agent.continue_message_handling("anna", "utter_found")
        assert (answer["next_action"], answer["policy"], answer["version"]) == (
            "action_listen",
            "MemoizationPolicy",
            7,
        )

    def test_the_default_conversation_is_called_default(self, agent) -> None:
        assert agent.start_message_handling("/greet")["tracker"]["sender_id"] == "default"

    def test_a_conversation_may_be_called_by_a_number_as_messengers_do(self, agent) -> None:
        channel = CollectingOutputChannel()
        agent.handle_message("/bye", output_channel=channel, sender_id=77)
        assert [message["recipient_id"] for message in channel.messages] == [77]
        assert agent.start_message_handling("/greet", sender_id=77)["tracker"]["sender_id"] == "77"
        store = agent.tracker_store
        assert store.keys() == ["77"]
        assert store.get_or_create_tracker(77) == store.retrieve(77) == store.retrieve("77")
        store.save(DialogueStateTracker(78, agent.domain.slots))
        assert (store.create_tracker(79).sender_id, store.keys()) == ("79", ["77", "78", "79"])

    def test_a_conversation_without_a_name_is_the_default_one(self, agent) -> None:
        agent.handle_message("/bye", sender_id="")
        agent.continue_message_handling("", "utter_bye")
        assert agent.tracker_store.keys() == ["default"]

    def test_messages_are_returned(self, agent) -> None:
        assert agent.handle_message("/bye", sender_id="anna") == [{"recipient_id": "anna", "text": "bye"}]

    def test_messages_go_to_a_channel(self, agent) -> None:
        channel = CollectingOutputChannel()
        assert agent.handle_message("/bye", output_channel=channel) is channel.messages

    def test_messages_may_be_changed_first(self, agent) -> None:
        assert agent.handle_message("BYE", lambda text: f"/{text.lower()}")[0]["text"] == "bye"
        assert agent.handle_message("BYE") == []

    def test_a_channel_is_handled_to_its_end(self, agent) -> None:
        channel = CollectingOutputChannel()

        class Two(InputChannel):
            def start_sync_listening(self, message_handler) -> None:
                for text in ("GREET", "BYE"):
                    message_handler(UserMessage(text, channel, text))

        agent.handle_channel(Two(), lambda text: f"/{text.lower()}")
        assert [message["text"] for message in channel.messages] == ["hello", "which cuisine?", "bye"]

    @pytest.mark.parametrize(
        "use",
        [
            lambda agent: agent.handle_message("/greet"),
            lambda agent: agent.start_message_handling("/greet"),
            lambda agent: agent.continue_message_handling("anna", None),
            lambda agent: agent.predict(conversation(agent.domain)),
            lambda agent: agent.handle_channel(InputChannel()),
        ],
        ids=["handle", "start", "continue", "predict", "channel"],
    )
    def test_without_policies_nothing_can_be_predicted(self, domain, use) -> None:
        agent = Agent(domain)
        with pytest.raises(ModelError, match="no policies and cannot predict: give it policies and train it"):
            use(agent)
        assert agent.tracker_store.keys() == []

    def test_a_policy_that_learnt_nothing_listens(self, domain) -> None:
        assert Agent(domain, [MemoizationPolicy()]).start_message_handling("/greet")["next_action"] == "action_listen"

    def test_unknown_names_are_value_errors(self, agent) -> None:
        with pytest.raises(UnknownActionError, match="no action 'utter_hi'"):
            agent.continue_message_handling("anna", "utter_hi", [])
        with pytest.raises(UnknownSlotError, match="no slot 'x'"):
            agent.continue_message_handling("anna", "utter_greet", [SlotSet("x", 1)])
        assert issubclass(UnknownActionError, ValueError)
        assert agent.tracker_store.keys() == []

    def test_a_prediction_changes_nothing(self, agent) -> None:
        tracker = conversation(agent.domain, "/greet")
        prediction = agent.predict(tracker)
        assert (prediction.action, prediction.policy, prediction.confidence) == (
            "utter_greet",
            "MemoizationPolicy",
            1,
        )
        assert sum(prediction.scores.values()) == 1.0
        assert agent.tracker_store.keys() == []

    def test_reading_creates_nothing(self, agent) -> None:
        tracker = agent.read_tracker("nobody")
        assert isinstance(tracker, DialogueStateTracker)
        assert list(tracker.events) == [ActionExecuted("action_listen")]
        assert agent.tracker_store.keys() == []

    def test_events_can_be_appended_and_replaced(self, agent) -> None:
        agent.append_events("anna", [SlotSet("price", "high")])
        assert agent.read_tracker("anna").get_slot("price") == "high"
        agent.replace_events("anna", [SlotSet("found", "x")])
        assert [event.key for event in agent.read_tracker("anna").events] == ["found"]

    def test_parts_can_be_exchanged(self, agent) -> None:
        class Greets(NaturalLanguageInterpreter):
            def parse(self, text):
                return {"text": text, "intent": {"name": "greet", "confidence": 1.0}, "entities": []}

        agent.start_message_handling("hi")
        agent.interpreter = Greets()
        agent.tracker_store = InMemoryTrackerStore(agent.domain)
        assert agent.start_message_handling("hi")["version"] == 2
        assert agent.read_tracker("default").latest_message.intent["name"] == "greet"

    def test_many_threads_share_an_agent(self, agent) -> None:
        wrong = []

        def talk(sender_id: str) -> None:
            for _ in range(25):
                if [message["text"] for message in agent.handle_message("/greet", sender_id=sender_id)][:1] != [
                    "hello"
                ]:
                    wrong.append(sender_id)
                agent.replace_events(sender_id, [ActionExecuted("action_listen")])

        at_once(talk, [f"user {number}" for number in range(4)])
        assert wrong == []


class TestInteractiveTraining:
    """A script types messages to the bot on the terminal."""

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path, monkeypatch) -> Path:
        """Files are written below this folder."""
        monkeypatch.chdir(tmp_path)
        return tmp_path

    @staticmethod
    def typed(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))

    @staticmethod
    def stories_in(file: Path) -> list[str]:
        return [story.partition("\n")[2].strip() for story in file.read_text().split("## ") if story]

    def test_on_the_terminal(self, domain, monkeypatch, capsys, folder) -> None:
        agent = Agent(domain, [MemoizationPolicy()])
        base = agent.policy_ensemble
        self.typed(monkeypatch, "/greet", "2", "utter_bye", "1", "/stop", "mine.md", "n")
        agent.train_online(stories(domain))
        out = capsys.readouterr().out
        assert "next action: utter_greet (1.00, MemoizationPolicy)" in out
        assert "bye\n" in out
        assert "Appended to 'mine.md'." in out
        assert self.stories_in(folder / "mine.md") == ["* greet\n  - utter_bye"]
        assert agent.policy_ensemble is base
        assert agent.start_message_handling("/greet")["next_action"] == "utter_bye"

    def test_the_model_has_what_was_taught(self, domain, folder) -> None:
        for answer, count in (("n", 6), ("y", 6)):
            agent = Agent(domain, [MemoizationPolicy()])
            agent.train(stories(domain))
            teacher = ScriptedTeacher("2", "utter_bye", "1", "", answer)
            taught = teach(agent, stories(domain), ScriptedChannel(["/greet"]), teacher=teacher)
            assert len(taught) == (1 if answer == "n" else 0)
            agent.persist("model")
            assert Agent.load("model").start_message_handling("/greet")["next_action"] == "utter_bye"
            assert (folder / "model" / "stories.md").read_text().count("## ") == count - len(taught)

    def test_training_comes_first_unless_there_is_nothing_to_train_on(self, domain, agent, monkeypatch, capsys) -> None:
        for lines, some in (([], stories(domain)), ([], [])):
            self.typed(monkeypatch, *lines)
            agent.train_online(some)
            assert "Nothing was taught." in capsys.readouterr().out
            assert agent.start_message_handling("/greet")["next_action"] == "utter_greet"
        with pytest.raises(ModelError, match="no policies and cannot predict"):
            Agent(domain).train_online([])

    def test_a_model_whose_stories_are_not_there_forgets_nothing(self, agent) -> None:
        teacher = ScriptedTeacher("2", "utter_bye", "0", "s.md", "y")
        assert len(teach(agent, [], ScriptedChannel(["/greet"]), teacher=teacher)) == 1
        assert agent.start_message_handling("/thank")["next_action"] == "utter_welcome"
        assert agent.start_message_handling("/greet", "anna")["next_action"] == "utter_bye"

    def test_actions_run_here_where_they_can(self, agent) -> None:
        channel, teacher = ScriptedChannel([ITALIAN]), ScriptedTeacher("1", "1", "1", "-")
        (taught,) = teach(agent, [], channel, teacher=teacher)
        assert channel.said == ["searching ...", "try Da Mario"]
        assert FOUND in taught.applied_events()

    def test_events_of_actions_that_run_elsewhere_are_typed(self, caplog) -> None:
        agent = Agent(remote_domain(), [MemoizationPolicy()])
        agent.train(stories(agent.domain))
        events = [
            '- slot{"fond": 1}',
            "slot{found",
            "utter_bye",
            "* greet",
            '- slot{"found": "Da Mario"}',
            "pause",
            "resume",
        ]
        channel, teacher = ScriptedChannel([ITALIAN]), ScriptedTeacher("1", *events, "", "1", "1", "-")
        (taught,) = teach(agent, [], channel, teacher=teacher)
        assert channel.said == ["try Da Mario"]
        assert story_lines(taught.applied_events())[2:] == [
            "    - action_search",
            '    - slot{"found": "Da Mario"}',
            "    - pause",
            "    - resume",
            "    - utter_found",
        ]
        for problem in ("no slot 'fond'", "not a JSON object", "'utter_bye' is no event", "'* greet' is no event"):
            assert problem in teacher.screen
        assert caplog.messages == []

    @pytest.mark.parametrize(
        ("messages", "answers"),
        [
            (["/greet", "/restart", "/bye"], ["2", "utter_bye", "1", "1", "1"]),
            (["/greet", "/bye"], ["2", "utter_bye", "/restart", "1", "1"]),
        ],
        ids=["as a message", "as an answer"],
    )
    def test_a_restart_begins_another_story(self, agent, messages, answers) -> None:
        taught = teach(agent, [], ScriptedChannel(messages), teacher=ScriptedTeacher(*answers, "-"))
        found = [story_lines(tracker.applied_events()) for tracker in taught]
        assert found == [["* greet", "    - utter_bye"], ["* bye", "    - utter_bye"]]

    @pytest.mark.parametrize("answers", [["2", "utter_bye", "0"], ["2", "utter_bye", "/stop"], ["2", "utter_bye"]])
    def test_stopping_in_the_middle_of_a_turn_loses_nothing(self, agent, folder, answers) -> None:
        teach(agent, [], ScriptedChannel(["/greet", "/greet"]), teacher=ScriptedTeacher(*answers))
        assert self.stories_in(folder / "stories.md") == ["* greet\n  - utter_bye"]

    def test_an_interrupted_action_loses_nothing(self, agent, folder, monkeypatch) -> None:
        def interrupted(self, *arguments) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("policy_bot.ActionSearch.run", interrupted)
        teach(agent, [], ScriptedChannel(["/greet"]), teacher=ScriptedTeacher("1", "2", "action_search", "s.md"))
        assert self.stories_in(folder / "s.md") == ['* greet\n  - utter_greet\n  - action_search{"failed": true}']

    def test_a_crash_loses_nothing(self, agent, folder) -> None:
        class Broken(ScriptedChannel):
            def start_sync_listening(self, message_handler) -> None:
                super().start_sync_listening(message_handler)
                raise RuntimeError("broken")

        with pytest.raises(RuntimeError, match="broken"):
            teach(agent, [], Broken(["/bye"]), teacher=ScriptedTeacher("1", "1", "s.md"))
        assert self.stories_in(folder / "s.md") == ["* bye\n  - utter_bye"]

    def test_errors_are_told_and_the_session_goes_on(self, domain) -> None:
        class Fails(NaturalLanguageInterpreter):
            def parse(self, text):
                raise InterpreterError("the NLU server is down.")

        agent = Agent(domain, [MemoizationPolicy()], Fails())
        agent.train(stories(domain))
        teacher = ScriptedTeacher("1", "1", "-")
        (taught,) = teach(agent, [], ScriptedChannel(["hello", "/bye"]), teacher=teacher)
        assert "Error: the NLU server is down." in teacher.screen
        assert story_lines(taught.applied_events()) == ["* bye", "    - utter_bye"]

    def test_a_file_that_cannot_be_written_is_asked_for_again(self, agent, folder) -> None:
        teacher = ScriptedTeacher("1", "0", "no/where.md", str(folder), "s.md")
        teach(agent, [], ScriptedChannel(["/bye"]), teacher=teacher)
        assert "cannot write 'no/where.md': there is no folder 'no'." in teacher.screen
        assert "Is a directory" in teacher.screen
        assert self.stories_in(folder / "s.md") == ["* bye\n  - utter_bye"]

    def test_a_store_that_is_given_has_the_conversation(self, domain) -> None:
        store = InMemoryTrackerStore()
        agent = Agent(domain, [MemoizationPolicy()], tracker_store=store)
        teach_script = ScriptedTeacher("2", "utter_bye", "2", "action_listen", "-")
        teach(agent, [], ScriptedChannel(["/greet"], "anna"), teacher=teach_script)
        assert store.keys() == ["anna"]
        assert agent.read_tracker("anna").latest_action_name == "action_listen"


@pytest.mark.parametrize("method", ["handle_message", "start_message_handling"])
def test_a_message_that_is_no_text_is_refused_before_anything_is_logged(method: str) -> None:
    agent = Agent(local_domain(), [MemoizationPolicy()])
    with pytest.raises(ValueError, match=r"^a message is a text, not 3\.$"):
        getattr(agent, method)(3)
    assert agent.tracker_store.retrieve("default") is None
