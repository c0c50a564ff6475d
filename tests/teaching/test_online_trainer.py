"""The ensemble that asks a teacher: its questions, the effects of the answers, and the files that are saved."""

from __future__ import annotations

import pytest
from policy_bot import FOUND, ITALIAN, FixedScores, Script, again, conversation, stories
from scripted_teacher import ScriptedChannel, ScriptedTeacher

import rasa_core.policies
from rasa_core.commands.teach import ConversationAbandoned, TeachingEnded, ask
from rasa_core.conversation import story_lines
from rasa_core.domain import Domain
from rasa_core.events import (
    ACTION_LISTEN_NAME,
    ActionExecuted,
    ActionReverted,
    Restarted,
    UserUtteranceReverted,
    UserUttered,
)
from rasa_core.policies import (
    FallbackPolicy,
    MemoizationPolicy,
    OnlinePolicyEnsemble,
    PolicyEnsemble,
    Prediction,
    SimplePolicyEnsemble,
)
from rasa_core.policies.policy import Policy
from rasa_core.stories import load_data
from rasa_core.teaching.corrections import taught_stories
from rasa_core.teaching.learning import EMPHASIS, EPOCHS, REMEMBERED
from rasa_core.teaching.questions import Answer, Question, about_action
from rasa_core.trackers import DialogueStateTracker

NOTHING = UserUttered("hm", {"name": None, "confidence": 0.0})


def taught_by(teacher: ScriptedTeacher, policies: list[Policy], trackers=()) -> OnlinePolicyEnsemble:
    return OnlinePolicyEnsemble(PolicyEnsemble(policies), trackers, teacher=teacher)


def prediction_of(domain: Domain, **scores: float) -> Prediction:
    action = max(scores, key=lambda name: scores[name])
    return Prediction(
        action, scores[action], "SomePolicy", {name: scores.get(name, 0.0) for name in domain.action_names}
    )


def question_about(domain: Domain, **scores: float) -> Question:
    return about_action(conversation(domain, "/greet"), prediction_of(domain, **scores), domain, 3)


class TestAsking:
    @pytest.mark.parametrize(
        ("answers", "verdict"),
        [
            (["1"], Answer("confirm")),
            ([" 1 "], Answer("confirm")),
            (["2", "utter_bye"], Answer("correct_action", "utter_bye")),
            (["2", "2"], Answer("correct_action", "utter_bye")),
            (["2", "1"], Answer("correct_action", "utter_greet")),
            (["2", "99", "0", "", "1"], Answer("confirm")),
            (["2", "utter_by", "", "2", "utter_found"], Answer("correct_action", "utter_found")),
            (["3", "thank"], Answer("correct_intent", "thank")),
            (["3", "1"], Answer("correct_intent", "greet")),
            (["3", "", "1"], Answer("confirm")),
            (["", "4", "yes", "1"], Answer("confirm")),
        ],
    )
    def test_answers_lead_to_a_verdict(self, domain, answers, verdict) -> None:
        teacher = ScriptedTeacher(*answers)
        assert ask(teacher, question_about(domain, utter_greet=0.6, utter_bye=0.4)) == verdict
        assert teacher.answers == []

    @pytest.mark.parametrize("before", [[], ["2"], ["3"]], ids=["verdict", "action", "intent"])
    @pytest.mark.parametrize(
        ("answers", "end"),
        [(["/stop"], TeachingEnded), (["/restart"], ConversationAbandoned), ([], TeachingEnded)],
        ids=["stop", "restart", "end of input"],
    )
    def test_every_question_can_be_left(self, domain, before, answers, end) -> None:
        with pytest.raises(end):
            ask(ScriptedTeacher(*before, *answers), question_about(domain, utter_greet=1.0))

    def test_zero_stops(self, domain) -> None:
        with pytest.raises(TeachingEnded):
            ask(ScriptedTeacher("0"), question_about(domain, utter_greet=1.0))

    def test_actions_are_listed_with_the_most_probable_first(self, domain) -> None:
        teacher = ScriptedTeacher("2", "utter_gret", "")
        with pytest.raises(TeachingEnded):
            ask(teacher, question_about(domain, utter_bye=0.6, utter_greet=0.4))
        rows = next(text for text in teacher.shown if "utter_found" in text).splitlines()
        assert [row.split() for row in rows[:2]] == [["1", "utter_bye", "0.60"], ["2", "utter_greet", "0.40"]]
        assert len(rows) == domain.num_actions
        assert "There is no action 'utter_gret' in the domain. Did you mean 'utter_greet'" in teacher.screen

    def test_intents_are_listed_as_the_interpreter_ranked_them(self, domain) -> None:
        ranking = [{"name": "bye", "confidence": 0.7}, {"name": "thank", "confidence": 0.2}]
        message = UserUttered("ciao", parse_data={"intent": ranking[0], "entities": [], "intent_ranking": ranking})
        teacher = ScriptedTeacher("3", "2")
        asked = about_action(conversation(domain, message), prediction_of(domain, utter_bye=1.0), domain, 3)
        assert ask(teacher, asked) == Answer("correct_intent", "thank")

    def test_last_turns_slots_and_prediction_are_shown(self, domain) -> None:
        tracker = conversation(
            domain, "/greet", "utter_greet", "/thank", "utter_welcome", ITALIAN, "action_search", FOUND
        )
        asked = about_action(tracker, prediction_of(domain, utter_found=0.75, utter_bye=0.25), domain, 2)
        assert asked.lines()[1:] == [
            "user: /thank  (thank, 1.00)",
            "bot:  utter_welcome",
            f'user: {ITALIAN}  (inform{{"cuisine": "italian"}}, 1.00)',
            '      slot{"cuisine": "italian"}',
            "bot:  action_search",
            '      slot{"found": "Da Mario"}',
            'slots: cuisine="italian", found="Da Mario", price="low", tags=null',
            "next action: utter_found (0.75, SomePolicy)",
        ]


class TestPredictions:
    def test_it_stands_where_it_always_did(self) -> None:
        assert rasa_core.policies.OnlinePolicyEnsemble is OnlinePolicyEnsemble
        assert issubclass(OnlinePolicyEnsemble, PolicyEnsemble)

    def test_a_right_one_is_returned_as_it_is(self, domain, memory) -> None:
        online = taught_by(ScriptedTeacher("1"), [memory])
        tracker = conversation(domain, "/greet")
        assert online.predict(tracker, domain) == PolicyEnsemble([memory]).predict(tracker, domain)

    def test_a_corrected_one_is_what_the_teacher_says(self, domain, memory) -> None:
        online = taught_by(ScriptedTeacher("2", "utter_welcome"), [memory])
        prediction = online.predict(conversation(domain, "/greet"), domain)
        assert (prediction.action, prediction.confidence, prediction.policy) == ("utter_welcome", 1.0, None)
        assert list(prediction.scores) == domain.action_names
        assert sum(prediction.scores.values()) == 1.0

    def test_the_old_ways_to_predict_ask_too(self, domain, memory) -> None:
        online = taught_by(ScriptedTeacher("2", "utter_bye", "1"), [memory])
        tracker = conversation(domain, "/greet")
        assert online.predict_next_action(tracker, domain) == domain.index_for_action("utter_bye")
        assert online.probabilities_using_best_policy(tracker, domain)[domain.index_for_action("utter_bye")] == 1.0

    def test_a_wrong_intent_is_corrected_and_the_turn_begins_anew(self, domain, memory) -> None:
        online = taught_by(ScriptedTeacher("1", "3", "inform", "1"), [memory])
        tracker = conversation(domain, "/greet", "utter_greet", "utter_ask_cuisine", '/bye{"cuisine": "italian"}')
        tracker.update(ActionExecuted(online.predict(tracker, domain).action))
        assert online.predict(tracker, domain).action == "action_search"
        assert tracker.latest_message.intent == {"name": "inform", "confidence": 1.0}
        assert tracker.get_slot("cuisine") == "italian"
        assert story_lines(tracker.applied_events()) == [
            "* greet",
            "    - utter_greet",
            "    - utter_ask_cuisine",
            '* inform{"cuisine": "italian"}',
            '    - slot{"cuisine": "italian"}',
        ]
        fresh = conversation(domain, "/greet", "utter_greet", "utter_ask_cuisine", '/inform{"cuisine": "italian"}')
        assert tracker.last_states(None) == fresh.last_states(None)

    def test_a_message_that_was_to_restart_restarts(self, domain, memory) -> None:
        online = taught_by(ScriptedTeacher("3", "restart"), [memory])
        assert online.predict(conversation(domain, "/bye"), domain).action == "action_restart"

    def test_a_model_written_in_between_is_that_of_the_policies(self, domain, memory, tmp_path) -> None:
        online = taught_by(ScriptedTeacher("2", "utter_welcome"), [memory])
        tracker = conversation(domain, "/greet")
        online.predict(tracker, domain)
        online.persist(tmp_path)
        loaded = OnlinePolicyEnsemble.load(tmp_path)
        assert type(loaded) is SimplePolicyEnsemble
        assert loaded.predict(tracker, domain).action == "utter_welcome"

    def test_drawing_is_told_to_be_gone(self, memory) -> None:
        with pytest.warns(DeprecationWarning, match="use_visualization is ignored: use Agent.visualize"):
            OnlinePolicyEnsemble(PolicyEnsemble([memory]), [], 3, True)


class TestLearning:
    @pytest.mark.parametrize(
        "steps",
        [("/greet",), ("/thank", "utter_welcome", "/thank"), ("/bye", "utter_bye", Restarted(), "/greet")],
        ids=["against the stories", "in no story", "after a restart"],
    )
    def test_the_same_situation_is_predicted_rightly_at_once(self, domain, memory, steps) -> None:
        base = PolicyEnsemble([memory])
        online = OnlinePolicyEnsemble(base, [], teacher=ScriptedTeacher("2", "utter_found"))
        online.predict(conversation(domain, *steps), domain)
        found = base.predict(conversation(domain, *steps), domain)
        assert (found.action, found.policy) == ("utter_found", "MemoizationPolicy")

    def test_a_training_runs_on_a_channel(self, domain, memory) -> None:
        base = PolicyEnsemble([memory])
        teacher = ScriptedTeacher("2", "utter_found", "0", "-")
        online = OnlinePolicyEnsemble(base, [], teacher=teacher)
        online.run_online_training(domain, None, ScriptedChannel(["/greet"]))
        assert base.predict(conversation(domain, "/greet"), domain).action == "utter_found"
        assert "* greet\n  - utter_found" in teacher.screen

    def test_later_corrections_do_not_undo_earlier_ones(self, domain, memory) -> None:
        base = PolicyEnsemble([memory])
        online = OnlinePolicyEnsemble(base, [], teacher=ScriptedTeacher("2", "utter_found", "2", "utter_welcome"))
        online.predict(conversation(domain, "/greet"), domain)
        online.predict(conversation(domain, "/bye"), domain)
        assert base.predict(conversation(domain, "/greet"), domain).action == "utter_found"
        assert base.predict(conversation(domain, "/bye"), domain).action == "utter_welcome"

    def test_what_was_said_last_counts(self, domain, memory) -> None:
        base = PolicyEnsemble([memory])
        teacher = ScriptedTeacher("2", "utter_found", "2", "utter_welcome")
        online = OnlinePolicyEnsemble(base, [], teacher=teacher)
        for _ in range(2):
            online.predict(conversation(domain, "/greet"), domain)
        assert base.predict(conversation(domain, "/greet"), domain).action == "utter_welcome"
        assert "Before, you taught utter_found here. What you say now counts." in teacher.screen

    def test_training_anew_leaves_corrections_as_they_are_once_they_are_applied(self, domain, memory, trackers) -> None:
        base = PolicyEnsemble([memory])
        online = OnlinePolicyEnsemble(base, trackers, teacher=ScriptedTeacher("2", "utter_found"))
        online.predict(conversation(domain, "/greet"), domain)
        base.train([*trackers, *online.taught_stories(domain)], domain)
        online.learner.apply_corrections()
        assert base.predict(conversation(domain, "/greet"), domain).action == "utter_found"

    def test_a_contradiction_to_the_stories_is_told(self, domain, memory) -> None:
        teacher = ScriptedTeacher("2", "utter_found")
        taught_by(teacher, [memory]).predict(conversation(domain, "/greet"), domain)
        assert "The stories say utter_greet here: change them" in teacher.screen
        assert "Learnt: utter_found." in teacher.screen

    def test_policies_that_cannot_learn_are_named(self, domain) -> None:
        teacher = ScriptedTeacher("2", "utter_found")
        scores = [float(name == "utter_bye") for name in domain.action_names]
        online = taught_by(teacher, [FixedScores(scores), MemoizationPolicy()])
        assert online.predict(conversation(domain, "/greet"), domain).action == "utter_found"
        assert "Noted: utter_found. But FixedScores still says utter_bye here (1.00)." in teacher.screen

    def test_policies_of_ones_own_get_the_corrected_conversation(self, domain) -> None:
        class Listed(Script):
            SUPPORTS_ONLINE_TRAINING = True

            def continue_training(self, training_trackers, domain, **kwargs) -> None:
                seen.extend(story_lines(tracker.applied_events()) for tracker in training_trackers)

        seen: list[list[str]] = []
        taught_by(ScriptedTeacher("2", "utter_bye"), [Listed({}), Script({})]).predict(
            conversation(domain, "/greet"), domain
        )
        assert seen == [["* greet", "    - utter_bye"]]

    def test_no_network_is_trained_where_memory_is_enough(self, domain, memory, trained, networks_trained) -> None:
        network = again(trained)
        base = PolicyEnsemble([memory, network, FallbackPolicy()])
        online = OnlinePolicyEnsemble(base, [], teacher=ScriptedTeacher("2", "utter_found"))
        online.predict(conversation(domain, "/greet"), domain)
        assert networks_trained == []

    def test_a_network_alone_learns_at_once_and_forgets_nothing(self, domain, trained, trackers) -> None:
        base = PolicyEnsemble([again(trained)])
        online = OnlinePolicyEnsemble(base, trackers, teacher=ScriptedTeacher("2", "utter_found"))
        steps = ("/greet", "utter_greet", "utter_ask_cuisine", "/thank")
        assert base.predict(conversation(domain, *steps), domain).action != "utter_found"
        online.predict(conversation(domain, *steps), domain)
        assert base.predict(conversation(domain, *steps), domain).action == "utter_found"
        for known, action in ((("/greet",), "utter_greet"), ((ITALIAN,), "action_search"), (("/bye",), "utter_bye")):
            assert base.predict(conversation(domain, *known), domain).action == action

    def test_a_network_sees_some_other_conversations_and_no_more(self, domain, trained, networks_trained) -> None:
        many = stories(domain) * 40
        online = taught_by(ScriptedTeacher("2", "utter_found"), [again(trained)], many)
        online.predict(conversation(domain, "/thank"), domain)
        assert networks_trained
        assert all(call == (EMPHASIS + REMEMBERED, {"epochs": EPOCHS, "verbose": 0}) for call in networks_trained)


class TestTaughtStories:
    @staticmethod
    def lines(found: list[DialogueStateTracker]) -> list[list[str]]:
        return [story_lines(tracker.applied_events()) for tracker in found]

    def test_a_decided_action_counts_though_it_never_ran(self, domain, memory) -> None:
        online = taught_by(ScriptedTeacher("1", "1"), [memory])
        tracker = conversation(domain, "/greet")
        online.predict(tracker, domain)
        assert self.lines(online.taught_stories(domain)) == [["* greet", "    - utter_greet"]]
        tracker.update(ActionExecuted("utter_greet"))
        assert self.lines(online.taught_stories(domain)) == [["* greet", "    - utter_greet"]]
        online.predict(conversation(domain, "/bye", sender_id="somebody else"), domain)
        assert len(online.taught_stories(domain)) == 2

    @pytest.mark.parametrize(
        ("steps", "expected"),
        [
            ([], []),
            (["/greet"], []),
            (["/greet", "utter_greet", "/bye"], [["* greet", "    - utter_greet"]]),
            (["/greet", "/greet", "utter_greet"], [["* greet", "* greet", "    - utter_greet"]]),
            (
                ["/greet", "utter_greet", "/restart", "action_restart", Restarted(), "/bye", "utter_bye"],
                [["* greet", "    - utter_greet"], ["* bye", "    - utter_bye"]],
            ),
            (
                ["/greet", "utter_greet", ACTION_LISTEN_NAME, NOTHING, "utter_bye", "/bye", "utter_bye"],
                [["* greet", "    - utter_greet", "* bye", "    - utter_bye"]],
            ),
            (
                ["/greet", "utter_greet", "utter_bye", ActionReverted(), "/thank", UserUtteranceReverted()],
                [["* greet", "    - utter_greet"]],
            ),
        ],
        ids=["nothing", "no answer", "last unanswered", "unanswered", "restarted", "not understood", "taken back"],
    )
    def test_stories_are_the_turns_that_a_story_can_tell(self, domain, steps, expected) -> None:
        assert self.lines(taught_stories(conversation(domain, *steps).events, domain)) == expected

    def test_names_are_those_of_the_content(self, domain) -> None:
        def name(action: str) -> str:
            return taught_stories(conversation(domain, "/greet", action).events, domain)[0].sender_id

        assert name("utter_bye") == name("utter_bye") != name("utter_greet")
        assert name("utter_bye").startswith("taught ")


def test_taught_stories_are_read_as_they_were_taught(domain, tmp_path, memory) -> None:
    teacher = ScriptedTeacher("2", "utter_welcome", "2", "action_listen")
    online = taught_by(teacher, [memory])
    tracker: DialogueStateTracker = conversation(domain, '/inform{"tags": ["a b", "`c` <!-- d"]}')
    for _ in range(2):
        tracker.update(ActionExecuted(online.predict(tracker, domain).action))
    (taught,) = online.taught_stories(domain)
    (tmp_path / "s.md").write_text(taught.export_stories())
    learnt = MemoizationPolicy()
    learnt.train([taught], domain)
    memory.train(load_data(tmp_path / "s.md", domain, augmentation_factor=0), domain)
    assert memory.lookup == learnt.lookup
    assert list(memory.lookup.values()) == ["action_listen", "utter_welcome", "action_listen"]
