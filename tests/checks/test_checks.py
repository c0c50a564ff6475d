"""Mistakes in domains and stories: the findings and their places, and what is no mistake."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable
from inspect import signature
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rasa_core.checks import Finding
from rasa_core.checks.checks import DEFAULT_MAX_HISTORY, MOST_PREDICTIONS, check_stories
from rasa_core.checks.contradictions import conversations_for, find_contradictions, story_actions
from rasa_core.domain import Domain
from rasa_core.policies import MemoizationPolicy
from rasa_core.stories import load_data
from rasa_core.stories.markdown import StoryFileReader
from rasa_core.stories.steps import StoryGraph
from rasa_core.turn import TurnProcessor

ROOT = Path(__file__).parents[2]

DOMAIN = """
action_factory: remote
intents:
  - a
  - b
entities:
  - e
slots:
  e: {type: text}
  kind: {type: categorical, values: [low, high]}
actions: [x, y, z]
"""
# Uses all that the domain has, and contradicts nothing.
QUIET = '## all\n* a{"e": "1"}\n- x\n- slot{"kind": "low"}\n* b\n- y\n- z\n'

Check = Callable[..., list[Finding]]
Told = list[tuple[str, str, list[int | None]]]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Return a function that checks stories, followed by stories that use every name of the domain, in ``s.md``."""

    def check_text(text: str, domain: str = DOMAIN, max_history: int = 5, quiet: str = QUIET) -> list[Finding]:
        (tmp_path / "s.md").write_text(f"{text}\n{quiet}", encoding="utf-8")
        return check_stories(domain, tmp_path / "s.md", max_history)

    return check_text


def told(findings: Iterable[Finding]) -> Told:
    return [(found.severity, found.kind, [place.line for place in found.places]) for found in findings]


def test_what_has_no_mistakes_has_no_findings(check: Check) -> None:
    assert check("") == []


def test_the_example_has_no_mistakes() -> None:
    folder = ROOT / "examples" / "remote"
    assert check_stories((folder / "domain.yml").read_text(encoding="utf-8"), folder / "stories.md") == []


# -- contradictions


def test_two_stories_with_the_same_history_and_different_actions_contradict_each_other(check: Check) -> None:
    [found] = check("## one\n* a\n- x\n## two\n* a\n- y")

    assert told([found]) == [("error", "contradiction", [3, 6])]
    assert [(place.name, place.note) for place in found.places] == [("one", "x"), ("two", "y")]
    assert "is followed by x or y. No max_history up to 50 tells all of them apart" in found.message


def test_a_mistyped_action_is_told_as_such_and_not_as_a_contradiction_too(check: Check) -> None:
    domain = DOMAIN.replace("[x, y, z]", "[utter_x, utter_y, x, y, z]")
    story = "## one\n* a\n- utter_x\n## two\n* a\n- uter_x\n"
    quiet = QUIET + "## other\n* b\n- utter_x\n- utter_y\n"

    assert told(check(story, domain, quiet=quiet)) == [("error", "undeclared-action", [6])]
    contradicting = check(story.replace("uter_x", "action_other"), domain, quiet=quiet)
    assert [found.kind for found in contradicting] == ["contradiction", "undeclared-action"]


def test_listening_where_another_story_acts_is_a_contradiction(check: Check) -> None:
    [found] = check("## one\n* a\n- x\n## two\n* a\n- x\n- z")

    assert [(place.line, place.note) for place in found.places] == [(3, "action_listen"), (7, "z")]


@pytest.mark.parametrize(
    "difference",
    [
        pytest.param("## two\n* b\n- z", id="intent"),
        pytest.param('## two\n* a{"e": "1"}\n- z', id="entity and its slot"),
        pytest.param('## two\n* a\n- slot{"kind": "high"}\n- z', id="slot"),
    ],
)
def test_what_policies_can_tell_apart_is_no_contradiction(check: Check, difference: str) -> None:
    found = check(f"## one\n* a\n- y\n{difference}", quiet="")

    assert "contradiction" not in {one.kind for one in found}


def test_a_value_that_policies_do_not_see_makes_no_difference(check: Check) -> None:
    found = check('## one\n* a{"e": "red"}\n- y\n## two\n* a{"e": "blue"}\n- z')

    assert [lines for _, kind, lines in told(found) if kind == "contradiction"] == [[3, 6, 9]]


def test_a_longer_history_that_helps_is_named(check: Check) -> None:
    text = "## one\n* a\n- x\n* b\n- y\n* b\n- x\n## two\n* b\n- z\n* b\n- y\n* b\n- z"

    [found] = [one for one in check(text, max_history=2) if [place.line for place in one.places] == [7, 14]]
    assert "With max_history 4 they differ" in found.message

    apart = check(text, max_history=4)
    assert not [one for one in apart if [place.line for place in one.places] == [7, 14]]


def test_a_pair_of_places_is_told_once_though_checkpoints_lead_there_in_many_ways(check: Check) -> None:
    text = "## p\n* a\n- x\n> k\n## q\n* b\n- y\n- z\n> k\n## one\n> k\n* a\n- y\n## two\n> k\n* a\n- z"

    assert [lines for _, kind, lines in told(check(text)) if kind == "contradiction"] == [[13, 17]]


def test_contradictions_between_many_stories_name_every_place(check: Check) -> None:
    text = "\n".join(f"## s{n}\n* a\n- {'xy'[n % 2]}" for n in range(300))

    [lines] = [lines for _, kind, lines in told(check(text)) if kind == "contradiction"]
    assert lines == [3 * n + 3 for n in range(300)]


def test_the_first_action_of_a_story_that_starts_with_the_bot_contradicts_nothing(check: Check) -> None:
    assert [one for one in check("## one\n- x\n* b\n- z\n## two\n- y\n* b\n- z") if one.severity == "error"] == []


STORY_DOMAIN = Domain.from_yaml(DOMAIN)
_lines = st.lists(st.sampled_from(["* a", "* b", '* a{"e": "1"}', "- x", "- y"]), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None)
@given(st.lists(_lines, min_size=1, max_size=5), st.integers(1, 4))
def test_contradictions_are_the_turns_that_memoization_forgets(stories: list[list[str]], max_history: int) -> None:
    text = [line for number, body in enumerate(stories) for line in (f"## s{number}", *body)]
    graph = StoryGraph(StoryFileReader(STORY_DOMAIN).process_lines(text, "s.md"))
    conversations = conversations_for(graph, STORY_DOMAIN, max_history)

    def forgets(length: int) -> int:
        policy = MemoizationPolicy(max_history=length)
        policy.train(conversations, STORY_DOMAIN)
        return len(policy._ambiguous)

    found = find_contradictions(story_actions(conversations), max_history)
    needed = [contradiction.needed for contradiction in found]

    assert bool(found) == bool(forgets(max_history))
    assert len(found) <= forgets(max_history)
    if found and None not in needed:
        enough = max(length for length in needed if length is not None)
        assert forgets(enough) == 0
        assert forgets(enough - 1) > 0
    for earlier, later in combinations(found, 2):
        assert not set(later.actions) <= set(earlier.actions)


def test_the_default_is_what_memoization_compares(tmp_path: Path) -> None:
    text = "## one\n* a\n" + "- x\n" * (DEFAULT_MAX_HISTORY + 1)
    (tmp_path / "s.md").write_text(text, encoding="utf-8")
    policy = MemoizationPolicy()
    policy.train(load_data(tmp_path / "s.md", STORY_DOMAIN, augmentation_factor=0), STORY_DOMAIN)

    assert len(policy._ambiguous) == 1
    assert [found.kind for found in check_stories(DOMAIN, tmp_path / "s.md")].count("contradiction") == 1
    assert [found.kind for found in check_stories(DOMAIN, tmp_path / "s.md", DEFAULT_MAX_HISTORY + 2)].count(
        "contradiction"
    ) == 0


# -- checkpoints and loops


def test_a_checkpoint_that_no_story_reaches_is_an_error_with_the_nearest_name(check: Check) -> None:
    found = check("## one\n* b\n- z\n> greeted\n## two\n> greetd\n* b\n- z\n## three\n> greetd\n* a\n- z")

    unreached = [one for one in found if one.kind == "unreached-checkpoint"]
    assert told(unreached) == [("error", "unreached-checkpoint", [5, 9])]
    assert "no story ends with the checkpoint 'greetd'" in unreached[0].message
    assert "Did you mean 'greeted'?" in unreached[0].message


def test_checkpoints_that_only_lead_to_each_other_are_unreached(check: Check) -> None:
    found = check("## one\n> p\n* b\n- z\n> q\n## two\n> q\n* b\n- z\n> p")

    assert told(found) == [("error", "unreached-checkpoint", [1]), ("error", "unreached-checkpoint", [6])]
    assert "reached only from stories that are not reached themselves" in found[0].message


def test_a_checkpoint_that_leads_nowhere_is_a_warning(check: Check) -> None:
    assert told(check("## one\n* b\n- z\n> gone")) == [("warning", "dead-end", [3])]


@pytest.mark.parametrize(
    ("condition", "is_possible"),
    [
        pytest.param('{"kind": "low"}', True, id="set by a story"),
        pytest.param('{"e": "1"}', True, id="set by an entity"),
        pytest.param('{"kind": null}', True, id="not set"),
        pytest.param('{"kind": "high"}', False, id="never set"),
        pytest.param('{"e": 1}', False, id="of another type"),
    ],
)
def test_a_condition_that_never_holds_is_an_error(check: Check, condition: str, is_possible: bool) -> None:
    found = check(f"## one\n* b\n- z\n* b\n> k\n## two\n> k{condition}\n* b\n- z")

    expected = [] if is_possible else [("error", "impossible-condition", [6])]
    assert [one for one in told(found) if one[1] == "impossible-condition"] == expected


def test_a_loop_without_the_user_is_an_error(check: Check) -> None:
    found = check("## in\n* b\n- z\n> p\n## one\n> p\n- x\n> q\n## two\n> q\n- y\n> p\n## out\n> q\n* a\n- z")

    loops = [one for one in found if one.kind == "endless-loop"]
    assert told(loops) == [("error", "endless-loop", [5, 9])]


def test_a_step_that_leads_back_to_itself_is_a_loop(check: Check) -> None:
    found = check("## in\n* b\n- z\n> p\n## one\n> p\n- x\n> p")

    assert [one for one in told(found) if one[1] == "endless-loop"] == [("error", "endless-loop", [5])]


@pytest.mark.parametrize("line", ["* a", "- action_listen", "- restart"])
def test_a_loop_in_which_the_user_speaks_is_fine(check: Check, line: str) -> None:
    found = check(f"## in\n* b\n- z\n> p\n## one\n> p\n- x\n{line}\n> p\n")

    assert "endless-loop" not in {one.kind for one in found}


@pytest.mark.parametrize("count", [MOST_PREDICTIONS - 1, MOST_PREDICTIONS])
def test_more_actions_than_a_server_runs_are_a_warning(check: Check, count: int) -> None:
    actions = "\n".join("- " + "xyz"[number % 3] for number in range(count))
    long_turns = [one for one in check(f"## one\n* a\n{actions}", max_history=30) if one.kind == "long-turn"]

    expected = [("warning", "long-turn", [2 + count])] if count == MOST_PREDICTIONS else []
    assert told(long_turns) == expected


def test_actions_in_a_row_count_across_checkpoints(check: Check) -> None:
    found = check("## one\n* a\n" + "- x\n- y\n" * 3 + "> k\n## two\n> k\n" + "- x\n- y\n" * 3, max_history=30)

    assert [lines for _, kind, lines in told(found) if kind == "long-turn"] == [[15]]


def test_the_limit_is_that_of_the_server() -> None:
    assert signature(TurnProcessor).parameters["max_number_of_predictions"].default == MOST_PREDICTIONS


# -- the same twice


def test_the_same_story_twice_is_a_warning(check: Check) -> None:
    found = check("## one\n* b\n- y\n\n## other\n* b\n- z\n\n## two\n* b\n- y")

    assert ("warning", "repeated-story", [1, 9]) in told(found)


def test_the_same_story_with_alternatives_and_checkpoints_is_a_warning(check: Check) -> None:
    body = "* b OR a\n- z\n> k\n* b\n- z\n"
    found = check(f"## one\n{body}## two\n{body}## three\n{body}")

    assert ("warning", "repeated-story", [1, 7, 13]) in told(found)


def test_stories_that_differ_only_in_a_condition_are_not_the_same(check: Check) -> None:
    text = '## in\n* b\n- z\n* b\n> k\n## one\n> k{"kind": null}\n* b\n- z\n## two\n> k{"kind": "low"}\n* b\n- z'

    assert "repeated-story" not in {one.kind for one in check(text)}


# -- names


@pytest.mark.parametrize(
    ("line", "kind", "name"),
    [
        ("* bb", "intent", "bb"),
        ('* b{"ee": 1}', "entity", "ee"),
        ('- slot{"kinds": 1}', "slot", "kinds"),
        ("- xx", "action", "xx"),
    ],
)
def test_names_that_the_domain_has_not_are_errors_with_all_places(
    check: Check, line: str, kind: str, name: str
) -> None:
    found = check(f"## one\n* b\n{line}\n* b\n{line}\n* b")

    [undeclared] = [one for one in found if one.kind == f"undeclared-{kind}"]
    assert told([undeclared]) == [("error", f"undeclared-{kind}", [3, 5])]
    assert f"the domain has no {kind} '{name}'. Did you mean" in undeclared.message
    assert "in domain.yml" in undeclared.message


def test_the_slot_of_a_condition_has_to_be_declared(check: Check) -> None:
    found = check('## in\n* b\n- z\n* b\n> k\n## one\n> k{"kinds": "low"}\n* b\n- z')

    assert ("error", "undeclared-slot", [6]) in told(found)


def test_names_that_no_story_uses_are_warnings_at_their_lines() -> None:
    domain = "intents:\n  - a\n  - b\nentities:\n  - e\nslots:\n  s: {type: text}\nactions:\n  - x\n  - y\ntemplates:\n"
    domain += "  x: [X]\n  y: [Y]\n  w: [W]\n"

    found = check_stories(domain, _file("## one\n* a\n- x\n"))

    assert [(one.kind, one.severity, one.places[0].line) for one in found] == [
        ("unused-intent", "warning", 3),
        ("unused-entity", "warning", 5),
        ("unused-slot", "warning", 7),
        ("unused-action", "warning", 10),
        ("template-not-action", "warning", 14),
    ]
    assert {one.places[0].file for one in found} == {"domain.yml"}


@pytest.mark.parametrize(
    "addition",
    [
        pytest.param("slots:\n  s: {type: unfeaturized}", id="slot that no policy sees"),
        pytest.param('slots:\n  s: {type: text}\ntemplates:\n  x: ["In {s}."]', id="slot that a template names"),
        pytest.param("intents: [a, restart]", id="intent that restarts"),
        pytest.param("templates:\n  utter_restart: [Again]", id="template of a restart"),
        pytest.param("slots:\n  s: {type: unfeaturized}\ntemplates:\n  utter_ask_s: [S?]", id="question for a slot"),
        pytest.param("slots:\n  s: {type: unfeaturized}\ntemplates:\n  utter_ask_f_s: [S?]", id="question of a form"),
        pytest.param("intents: [a, stop]\nconfig: {restart_intent: stop}", id="own intent that restarts"),
    ],
)
def test_what_is_used_outside_of_stories_is_not_unused(addition: str) -> None:
    base = "" if "intents" in addition else "intents: [a]\n"

    assert check_stories(f"action_factory: remote\n{base}{addition}\nactions: [x]", _file("## one\n* a\n- x")) == []


def test_questions_and_restarts_that_are_listed_as_actions_are_not_unused() -> None:
    names = "[x, utter_restart, utter_ask_s, utter_default]"
    domain = f"action_factory: remote\nintents: [a]\nslots: {{s: {{type: unfeaturized}}}}\nactions: {names}\n"

    assert check_stories(domain, _file("## one\n* a\n- x")) == []
    found = check_stories(domain.replace("utter_ask_s", "utter_ask_t"), _file("## one\n* a\n- x"))
    assert [one.kind for one in found] == ["unused-action"]


def test_a_template_that_stories_use_without_an_action_is_told() -> None:
    domain = "action_factory: remote\nintents: [a]\ntemplates:\n  utter_x: [X]\n"

    found = check_stories(domain, _file("## one\n* a\n- utter_x"))

    assert [one.kind for one in found] == ["template-not-action", "undeclared-action"]
    assert "There is a template of that name" in found[1].message


@pytest.mark.parametrize("text", ["", "## only a name\n", "<!-- nothing yet -->\n"])
def test_a_file_without_stories_is_told(text: str) -> None:
    domain = "action_factory: remote\nintents: []\nactions: []\n"
    (found,) = [one for one in check_stories(domain, _file(text)) if one.kind == "no-stories"]
    assert "there are no stories, so that the bot learns nothing; a story is like: ## name" in found.message


def test_a_template_that_names_what_there_is_not_is_told() -> None:
    domain = """
action_factory: remote
intents: [a]
slots: {day: {type: unfeaturized}}
actions: [utter_x]
templates:
  utter_x:
  - text: "{dya} {weather}"
    buttons: [{title: t, payload: /b}, {title: u, payload: /restart}]
"""
    found = check_stories(domain, _file("## one\n* a\n- utter_x"))

    assert [(one.kind, one.severity, one.places[0].line) for one in found] == [("unknown-name", "warning", 7)] * 2
    assert "says {dya}, and the domain has no slot 'dya'. Did you mean 'day'?" in found[1].message
    assert "names the intent 'b', which the domain does not have" in found[0].message
    assert [one.kind for one in check_stories(domain, _file("## one\n* a\n- utter_x"), words={"dya"})] == [
        "unknown-name"
    ]


def test_a_key_of_a_template_that_is_nearly_one_is_told() -> None:
    domain = "action_factory: remote\nintents: [a]\nactions: [utter_x]\ntemplates:\n  utter_x:\n"
    (found,) = check_stories(f"{domain}  - text: hi\n    button: []\n    mood: glad\n", _file("## one\n* a\n- utter_x"))
    assert (found.kind, found.places[0].line) == ("unknown-key", 5)
    assert "nothing reads the key 'button' of the template 'utter_x'. Did you mean 'buttons'" in found.message


def test_a_categorical_slot_without_values_is_told_to_have_none() -> None:
    domain = "action_factory: remote\nintents: [a]\nslots: {s: {type: categorical}}\nactions: [x]\n"
    (found,) = check_stories(domain, _file('## one\n* a\n- slot{"s": "v"}\n- x'))
    assert "has the value 'v', and no values: are listed for it in the domain; policies do not see it" in found.message


def test_a_value_that_a_categorical_slot_has_not_is_a_warning(check: Check) -> None:
    found = check('## one\n* b\n- slot{"kind": "lov"}\n- z\n')

    assert ("warning", "unknown-value", [3]) in told(found)
    assert any("Did you mean 'low'?" in one.message for one in found)


# -- what cannot be read


def test_every_story_that_cannot_be_read_is_told_and_the_others_are_checked(check: Check) -> None:
    found = check('## one\n* a{"z": NaN}\n- x\n## two\n* a\n- y\n## three\n- slot{}\n## four\n* a\n- z')

    assert told(found) == [
        ("error", "grammar", [2]),
        ("error", "contradiction", [6, 11]),
        ("error", "grammar", [8]),
    ]


def test_nothing_is_called_missing_while_a_story_cannot_be_read(check: Check) -> None:
    assert told(check('## one\n* a{"z": NaN}\n- x\n> k\n## two\n> k\n* b\n- y', quiet="")) == [
        ("error", "grammar", [2])
    ]


def test_every_line_that_cannot_be_read_is_told(check: Check) -> None:
    text = "\n".join(f'## s{number}\n* a{{"z": NaN}}\n- x\n- slot{{}}' for number in range(100))

    lines = [lines for _, kind, lines in told(check(text)) if kind == "grammar"]
    assert lines == [[4 * number + offset] for number in range(100) for offset in (2, 4)]


def test_all_that_is_wrong_in_a_domain_is_told_and_its_stories_are_read(check: Check) -> None:
    found = check('## one\n* a{"z": NaN}\n- nothing', "intents: [[a], b]\nslots:\n  s: {}\ntypo: 1\nactions: [x, x]")

    assert told(found) == [
        ("error", "domain", [1]),
        ("error", "domain", [3]),
        ("warning", "unknown-key", [4]),
        ("error", "domain", [5]),
        ("error", "grammar", [2]),
    ]


def test_a_file_that_cannot_be_read_does_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"## one\n* a\xff\n")
    (tmp_path / "b.md").write_text('## one\n* a{"z": NaN}\n## two\n* a\n- xx', encoding="utf-8")

    found = check_stories(DOMAIN, tmp_path)

    assert [(one.kind, Path(one.places[0].file).name, one.places[0].line) for one in found] == [
        ("grammar", "a.md", 2),
        ("grammar", "b.md", 2),
        ("undeclared-action", "b.md", 5),
    ]


def test_a_folder_without_stories_is_told(tmp_path: Path) -> None:
    [found] = check_stories(DOMAIN, tmp_path)
    assert (found.kind, found.places[0].file) == ("grammar", str(tmp_path))


def test_a_line_that_says_nothing_is_told(check: Check) -> None:
    found = check("## one\n* b\nutter_greet\n- z\n## empty")

    assert ("warning", "ignored-line", [3]) in told(found)
    assert ("warning", "ignored-line", [5]) in told(found)
    assert any("skipped 'utter_greet'" in one.message for one in found)


def test_what_is_found_does_not_depend_on_the_log(check: Check) -> None:
    text = "## one\n* b\nutter_greet\n- z"
    logger = logging.getLogger("rasa_core")
    expected = check(text)
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        assert check(text) == expected != []
        assert logger.level == logging.CRITICAL
    finally:
        logger.setLevel(before)


@pytest.mark.parametrize(
    ("domain", "line", "message"),
    [
        pytest.param("intents: [a\nactions: [x]", 1, "not valid YAML", id="YAML"),
        pytest.param("intents: [a]\nintents: [b]", 2, "stands twice", id="a key twice"),
        pytest.param("", None, "the file is empty", id="empty"),
    ],
)
def test_a_domain_that_cannot_be_read_is_one_finding(check: Check, domain: str, line: int | None, message: str) -> None:
    found = check('## one\n* a{"z": NaN}', domain)

    assert told(found) == [("error", "domain", [line]), ("error", "grammar", [2])]
    assert message in found[0].message
    assert not found[0].message.startswith("domain.yml")


def test_each_wrong_entry_of_a_domain_is_told() -> None:
    domain = (
        "intents: [a]\nslots:\n  s: {type: txt}\n  t: {type: flaot}\nactions:\n  - utter_x\n  - no.Such\nslot: {}\n"
    )

    found = check_stories(domain, _file('## one\n* a\n- utter_x\n- such\n- slot{"s": 1, "t": 1}'))

    assert [(one.kind, one.severity, one.places[0].line) for one in found if one.places[0].file == "domain.yml"] == [
        ("domain", "error", 3),
        ("domain", "error", 4),
        ("domain", "error", 6),
        ("domain", "error", 7),
        ("unknown-key", "warning", 8),
    ]
    assert "neither a template nor the dotted path of an Action class" in found[2].message


def test_an_action_that_every_bot_has_is_told_and_the_rest_is_checked(check: Check) -> None:
    found = check("## one\n* b\n- xx", DOMAIN.replace("[x, y, z]", "[x, y, z, action_listen]"))

    assert {one.kind for one in found} == {"domain", "undeclared-action"}


# -- the whole


def test_findings_stand_in_the_order_of_file_and_line_and_are_the_same_each_time(check: Check) -> None:
    text = "## one\n* a\n- x\n- xx\n> k\n## two\n* aa\n- y\n## three\n* a\n- y\n## four\n* a\n- x\n- xx\n> l"
    found = check(text)

    lines = [one.places[0].line for one in found if one.places[0].file != "domain.yml"]
    assert lines == sorted(lines)
    assert len(found) > 4
    assert check(text) == found


def test_ten_thousand_stories_are_checked_in_seconds(tmp_path: Path) -> None:
    rng = random.Random(0)
    turns = (["* " + rng.choice("ab"), *("- " + rng.choice("xyz") for _ in range(2))] for _ in range(50_000))
    lines = [line for number, turn in enumerate(turns) for line in ([f"## s{number}"] * (number % 5 == 0) + turn)]
    (tmp_path / "s.md").write_text("\n".join(lines), encoding="utf-8")
    began = time.process_time()

    assert "contradiction" in {one.kind for one in check_stories(DOMAIN, tmp_path / "s.md")}
    assert time.process_time() - began < 20


def test_very_many_ways_through_checkpoints_are_checked_in_seconds(tmp_path: Path) -> None:
    lines = ["## in\n* a\n- x\n> k0"]
    lines += [f"## s{n}_{m}\n> k{n}\n* a\n{'- x' * (m + 1)}\n> k{n + 1}" for n in range(8) for m in range(15)]
    (tmp_path / "s.md").write_text("\n".join(lines), encoding="utf-8")
    began = time.process_time()

    assert check_stories(DOMAIN, tmp_path / "s.md")
    assert time.process_time() - began < 20


@pytest.mark.parametrize("name", ["babi", "multiwoz"])
def test_real_stories_contradict_each_other_where_memoization_forgets(sample_data: Path, name: str) -> None:
    [domain_file] = sample_data.joinpath(name).glob("*.yml")
    text = domain_file.read_text(encoding="utf-8").replace("action_factory: local", "")
    stories = sample_data / name / "stories_train.md"
    domain = Domain.from_yaml(text, action_factory="remote")
    policy = MemoizationPolicy()
    policy.train(load_data(stories, domain, augmentation_factor=0), domain)

    found = [one for one in check_stories(text, stories) if one.kind == "contradiction"]

    assert 0 < len(found) <= len(policy._ambiguous)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _file(text: str) -> Path:
    """Write stories into the folder of the test."""
    path = Path("s.md")
    path.write_text(text, encoding="utf-8")
    return path
