"""Generating conversations from stories."""

from __future__ import annotations

import logging

import pytest

from rasa_core.domain import Domain
from rasa_core.events import ActionExecuted, SlotSet, UserUttered
from rasa_core.stories.generator import TrainingDataGenerator
from rasa_core.stories.markdown import StoryFileReader
from rasa_core.stories.steps import StoryGraph


def told(tracker) -> str:
    """Return a conversation in short: intents with a star, slots with their value, listening as a dot."""
    words = []
    for event in tracker.events:
        if isinstance(event, UserUttered):
            words.append(f"*{event.intent['name']}")
        elif isinstance(event, ActionExecuted):
            words.append("." if event.action_name == "action_listen" else event.action_name)
        elif isinstance(event, SlotSet):
            words.append(f"{event.key}={event.value}")
        else:
            words.append(event.type_name)
    return " ".join(words)


@pytest.mark.parametrize(
    ("text", "conversation"),
    [
        pytest.param("* greet\n- utter_greet", ". *greet utter_greet .", id="plain"),
        pytest.param(
            "* greet\n- utter_greet\n* deny\n- utter_ok",
            ". *greet utter_greet . *deny utter_ok .",
            id="two turns",
        ),
        pytest.param("* greet", ". *greet .", id="ends with a message"),
        pytest.param("* greet\n* deny", ". *greet . *deny .", id="two messages in a row"),
        pytest.param("- utter_greet", "utter_greet .", id="action alone"),
        pytest.param("- action_listen\n* greet", ". *greet .", id="listening is said before a message"),
        pytest.param("* greet\n- utter_ok\n- action_listen", ". *greet utter_ok .", id="listening is said at the end"),
        pytest.param(
            "* greet\n- action_listen\n- action_listen\n* deny", ". *greet . *deny .", id="listening is said twice"
        ),
        pytest.param(
            "* greet\n- utter_ok\n- action_listen\n- utter_greet",
            ". *greet utter_ok utter_greet .",
            id="listening in vain",
        ),
        pytest.param("* greet\n- action_listen\n- utter_ok", ". *greet utter_ok .", id="listening after a message"),
        pytest.param(
            "* greet\n- utter_ok\n- action_listen\n> x\n## t\n> x\n- utter_greet",
            ". *greet utter_ok utter_greet .",
            id="listening before a checkpoint",
        ),
        pytest.param('- slot{"city": 1}\n* greet', "city=1 . *greet .", id="slot first"),
        pytest.param('* inform{"city": "Rome"}', ". *inform city=Rome .", id="entity sets its slot"),
        pytest.param('* inform{"city": ["Rome", "Bonn"]}', ". *inform city=Bonn .", id="last value"),
        pytest.param('* inform{"tags": ["a", "b"]}', ". *inform tags=['a', 'b'] .", id="list slot takes all values"),
        pytest.param('* greet\n- utter_ok\n- slot{"city": null}', ". *greet utter_ok city=None .", id="slot last"),
    ],
)
def test_what_a_story_implies_is_spelt_out(generate, text, conversation):
    assert [told(tracker) for tracker in generate(f"## s\n{text}")] == [conversation]


def test_entities_set_no_slots_if_the_domain_says_so():
    domain = Domain.from_yaml(
        "{intents: [inform], entities: [city], slots: {city: {type: text}}, actions: [],"
        " config: {store_entities_as_slots: false}}"
    )
    graph = StoryGraph(StoryFileReader(domain).process_lines(["## s", '* inform{"city": "Rome"}']))

    [tracker] = TrainingDataGenerator(graph, domain, augmentation_factor=0).generate()

    assert told(tracker) == ". *inform ."


@pytest.mark.parametrize(
    ("text", "unpredictable"),
    [
        pytest.param("- utter_greet\n- utter_ask", ["utter_greet"], id="first action"),
        pytest.param('- slot{"city": 1}\n- utter_greet', ["utter_greet"], id="behind a slot"),
        pytest.param("* greet\n- utter_greet", [], id="behind a message"),
        pytest.param("- utter_greet\n> a\n- utter_ask", ["utter_greet"], id="not behind a checkpoint"),
    ],
)
def test_the_action_that_opens_a_story_is_unpredictable(generate, text, unpredictable):
    [tracker] = generate(f"## s\n{text}")

    actions = [event for event in tracker.events if isinstance(event, ActionExecuted)]
    assert [action.action_name for action in actions if action.unpredictable] == unpredictable


def test_every_path_through_checkpoints_is_a_conversation(generate):
    text = "## a\n* greet\n> x\n\n## b\n* deny\n> x\n\n## c\n> x\n- utter_ok\n\n"
    text += "## d\n> x\n- utter_sorry\n> y\n\n## e\n> y\n* goodbye"

    assert sorted(map(told, generate(text))) == [
        ". *deny utter_ok .",
        ". *deny utter_sorry . *goodbye .",
        ". *greet utter_ok .",
        ". *greet utter_sorry . *goodbye .",
    ]


def test_a_checkpoint_in_the_middle_is_an_end_and_a_start(generate):
    text = "## a\n* greet\n> x\n- utter_greet\n\n## b\n* deny\n> x\n\n## c\n> x\n- utter_ok"

    assert sorted(map(told, generate(text))) == [
        ". *deny utter_greet .",
        ". *deny utter_ok .",
        ". *greet utter_greet .",
        ". *greet utter_ok .",
    ]


@pytest.mark.parametrize("remove_duplicates", [True, False])
def test_two_checkpoints_at_one_place_do_not_double_conversations(generate, remove_duplicates):
    text = "## a\n* greet\n> x\n> y\n- utter_greet\n\n## b\n> y\n- utter_ok"

    found = sorted(map(told, generate(text, remove_duplicates=remove_duplicates)))

    assert found == [". *greet utter_greet .", ". *greet utter_ok ."]


def test_alternatives_are_conversations_of_their_own(generate):
    found = generate('## s\n* greet\n- utter_ask\n* affirm OR inform{"city": "Rome"}\n- utter_ok\n* deny OR goodbye')

    assert sorted(map(told, found)) == [
        ". *greet utter_ask . *affirm utter_ok . *deny .",
        ". *greet utter_ask . *affirm utter_ok . *goodbye .",
        ". *greet utter_ask . *inform city=Rome utter_ok . *deny .",
        ". *greet utter_ask . *inform city=Rome utter_ok . *goodbye .",
    ]


CONDITIONAL = """
## a
* inform{"city": "Rome"}
> x
## b
* inform{"city": "Bonn", "name": "Anna"}
> x
## c
* greet
> x
## rome
> x{"city": "Rome"}
- utter_ok
## anna
> x{"city": "Bonn", "name": "Anna"}
- utter_greet
## none
> x{"city": null}
- utter_sorry
"""


def test_only_conversations_with_the_slots_of_a_condition_go_on(generate):
    assert sorted(map(told, generate(CONDITIONAL))) == [
        ". *greet utter_sorry .",
        ". *inform city=Bonn name=Anna utter_greet .",
        ". *inform city=Rome utter_ok .",
    ]


def test_conversations_that_differ_in_a_tested_slot_are_not_merged(generate):
    text = '## a\n* inform{"city": "Rome"}\n> x\n## b\n* inform{"city": "Bonn"}\n> x\n'
    text += '## c\n> x{"city": "Bonn"}\n- utter_ok'

    assert ". *inform city=Bonn utter_ok ." in map(told, generate(text, unique_last_num_states=1))


def test_conditions_that_nothing_meets_are_warned_of(generate, caplog):
    [tracker] = generate('## a\n* greet\n> x\n\n## b\n> x{"city": "Rome"}\n- utter_ok')

    assert told(tracker) == ". *greet"
    assert 'stories.md:5 "b": no conversation comes here with the slots of > x{"city": "Rome"}' in caplog.text


@pytest.mark.parametrize(
    ("text", "conversations", "warning"),
    [
        pytest.param(
            "## a\n* greet\n- utter_greet\n> therr\n\n## b\n* deny",
            [". *deny .", ". *greet utter_greet"],
            "stories.md:1 \"a\": no story starts with the checkpoint 'therr'.",
            id="no start",
        ),
        pytest.param(
            "## a\n* deny\n\n## b\n> there\n- utter_ok",
            [". *deny ."],
            "stories.md:4 \"b\": no story ends with the checkpoint 'there', so this story is not learnt.",
            id="no end",
        ),
        pytest.param(
            "## a\n* deny\n\n## b\n> round\n* greet\n- utter_ok\n> round",
            [". *deny ."],
            'stories.md:4 "b": no conversation comes to > round, but from stories that are not learnt themselves.',
            id="no beginning",
        ),
    ],
)
def test_loose_checkpoints_are_warned_of(generate, caplog, text, conversations, warning):
    assert list(map(told, generate(text))) == conversations
    assert warning in caplog.text


def test_the_nearest_checkpoint_is_suggested(generate, caplog):
    generate("## a\n* greet\n> therr\n\n## b\n> there\n- utter_ok")

    assert "Did you mean 'there'?" in caplog.text
    assert "Did you mean 'therr'?" in caplog.text


def test_a_loop_is_taken_twice_where_policies_look_at_the_whole_history(generate):
    text = "## a\n* greet\n> x\n\n## b\n> x\n* deny\n- utter_sorry\n> x\n\n## c\n> x\n* goodbye"

    assert sorted(map(told, generate(text)), key=len) == [
        ". *greet . *goodbye .",
        ". *greet . *deny utter_sorry . *goodbye .",
        ". *greet . *deny utter_sorry . *deny utter_sorry . *goodbye .",
        ". *greet . *deny utter_sorry . *deny utter_sorry . *deny utter_sorry",
    ]


def test_a_loop_that_asks_for_a_slot_is_taken_as_often_as_its_answer_may_fail(generate):
    text = (
        "## a\n* greet\n- utter_greet\n> ask\n"
        '## none\n> ask\n* inform{"city": null}\n> answered\n'
        '## one\n> ask\n* inform{"city": "Rome"}\n> answered\n'
        '## known\n> answered{"city": "Rome"}\n- utter_ok\n'
        '## unknown\n> answered{"city": null}\n- utter_sorry\n> ask\n'
    )
    found = [[event.action_name for event in one.events if isinstance(event, ActionExecuted)] for one in generate(text)]
    ends = [[name for name in names if name != "action_listen"][1:] for names in found]
    assert sorted(ends, key=len) == [
        ["utter_ok"],
        ["utter_sorry", "utter_ok"],
        ["utter_sorry", "utter_sorry", "utter_ok"],
        ["utter_sorry", "utter_sorry", "utter_sorry"],
    ]


@pytest.mark.parametrize("window", [1, 2, 3, 5, 8])
def test_a_loop_is_taken_until_the_history_of_policies_is_full(generate, window):
    text = "## a\n* greet\n> x\n\n## b\n> x\n* deny\n- utter_sorry\n> x\n\n## c\n> x\n* goodbye"

    trackers = generate(text, max_history=window)

    rounds = window // 2 + 2  # Of two actions each, and one in which the action is not the last.
    [longer] = generate("## s\n* greet\n" + rounds * "* deny\n- utter_sorry\n" + "* goodbye")
    assert shown(longer, window) <= {turn for tracker in trackers for turn in shown(tracker, window)}
    assert len(trackers) <= window + 3


def shown(tracker, window):
    """Return what policies that look at so many states learn from a conversation."""
    actions = [event.action_name for event in tracker.events if isinstance(event, ActionExecuted)]
    states = [frozenset(state.items()) for state in tracker.last_states(None)]
    return {(*states[max(0, end - window) : end], action) for end, action in enumerate(actions, 1)}


@pytest.mark.parametrize("window", [5, 12])
def test_many_stories_in_a_circle_stay_in_bounds(generate, window):
    intents, actions = ["greet", "affirm", "deny", "inform"], ["utter_greet", "utter_ask", "utter_ok", "utter_sorry"]
    circle = [f"## {a}{b}\n> x\n* {a}\n- {b}\n> x\n" for a in intents for b in actions]

    assert len(generate("## in\n* greet\n> x\n" + "".join(circle), max_history=window)) < 3000


def test_every_round_has_the_places_of_its_lines(generate):
    text = "## a\n* greet\n> x\n\n## b\n> x\n* deny\n- utter_sorry\n> x\n\n## c\n> x\n* goodbye"

    longest = max(generate(text, max_history=6), key=lambda tracker: len(tracker.events))

    lines = [source.line for event, source in zip(longest.events, longest.sources, strict=True)]
    assert lines[:8] == [2, 2, 7, 7, 8, 7, 7, 8]


def test_a_loop_to_the_start_leads_to_every_story(generate):
    text = "## a\n* greet\n- utter_greet\n> STORY_START\n\n## b\n* deny\n- utter_ok"

    assert ". *greet utter_greet . *deny utter_ok ." in map(told, generate(text))


def test_loops_go_on_until_every_story_is_reached(generate):
    ways = ['## in\n* greet\n- slot{"note": 0}\n> x']
    ways += [f'## w{n}\n> x{{"note": {n}}}\n* deny\n- slot{{"note": {n + 1}}}\n> x' for n in range(5)]
    ways += ['## out\n> x{"note": 5}\n* goodbye']

    conversations = list(map(told, generate("\n".join(ways))))

    assert any(conversation.endswith("*goodbye .") for conversation in conversations)


def test_cycles_of_any_shape_end(generate):
    names = "abcdef"
    text = "## in\n* greet\n> a\n" + "\n".join(
        f"## {start}{end}\n> {start}\n* deny\n- utter_ok\n> {end}" for start in names for end in names
    )

    assert 0 < len(generate(text)) < 20_000


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("- restart", [". *greet utter_greet restart . *deny .", ". *greet utter_greet"], id="restart"),
        pytest.param("- rewind", [". *greet utter_greet rewind . *deny .", ". *greet utter_greet"], id="rewind"),
        pytest.param("- undo", [". *greet utter_greet undo . *deny ."], id="undo"),
    ],
)
def test_what_a_conversation_forgets_is_learnt_from_one_that_does_not(generate, line, expected):
    assert list(map(told, generate(f"## s\n* greet\n- utter_greet\n{line}\n* deny"))) == expected


def test_conversations_that_look_the_same_are_made_once(generate):
    text = '## a\n* inform{"city": "Rome"}\n- utter_ok\n\n## b\n* inform{"city": "Bonn"}\n- utter_ok'

    assert len(generate(text)) == 1
    assert len(generate(text, remove_duplicates=False)) == 2


def test_conversations_stand_in_the_order_of_the_stories(generate):
    assert [tracker.sender_id for tracker in generate("## c\n* greet\n\n## a\n* deny\n\n## b\n* affirm")] == [
        "c",
        "a",
        "b",
    ]


def test_a_conversation_is_named_after_its_stories(generate):
    [tracker] = generate("## a\n* greet\n> x\n- utter_ok\n> y\n\n## b\n> y\n* deny")

    assert tracker.sender_id == "a > b"


def test_each_event_keeps_its_source(generate):
    [tracker] = generate('## a\n* inform{"city": 1}\n- utter_ok\n> x\n\n## b\n> x\n* deny\n- utter_bye')

    assert [source.line for source in tracker.sources] == [2, 2, 2, 3, 8, 8, 9, 9]
    assert len(tracker.sources) == len(tracker.events)
    assert str(tracker.sources[-1]) == 'stories.md:9 "b"'


def test_no_stories_make_no_conversations(domain):
    assert TrainingDataGenerator(StoryGraph([]), domain).generate() == []


def test_a_generator_gives_the_same_again(domain, read):
    generator = TrainingDataGenerator(StoryGraph(read(CONDITIONAL)), domain)

    assert list(map(told, generator.generate())) == list(map(told, generator.generate()))


def test_the_number_of_conversations_is_logged(generate, caplog):
    with caplog.at_level(logging.INFO):
        generate("## a\n* greet\n\n## b\n* deny", augmentation_factor=2)

    assert "2 conversations from 2 story steps." in caplog.text
    assert "augmented conversations." in caplog.text


def test_how_stories_are_joined_can_be_drawn(generate, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    generate("## a\n* greet\n> x\n\n## b\n> x\n* deny", debug_plots=True)

    assert "greet" in (tmp_path / "story_blocks_connections.html").read_text(encoding="utf-8")


def test_a_restart_before_anything_happened_adds_no_conversation(generate):
    assert list(map(told, generate("## s\n- restart\n* greet\n- utter_greet"))) == ["restart . *greet utter_greet ."]


def test_each_part_between_restarts_is_learnt(generate):
    found = generate("## s\n* greet\n- utter_greet\n- restart\n* deny\n- utter_ok\n- restart")

    assert list(map(told, found)) == [
        ". *greet utter_greet restart . *deny utter_ok restart .",
        ". *greet utter_greet",
        ". *greet utter_greet restart . *deny utter_ok",
    ]
