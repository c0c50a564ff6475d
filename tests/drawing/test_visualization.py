"""Drawing stories."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rasa_core.domain import Domain
from rasa_core.drawing import story_flow as flow
from rasa_core.drawing.diagrams import Diagram, Kind
from rasa_core.drawing.stories import Examples, examples_by_intent, visualize_stories, visualize_story_graph
from rasa_core.drawing.story_flow import StoryFlow
from rasa_core.drawing.svg import DrawingError
from rasa_core.nlu.training_data import NLUDataError
from rasa_core.stories import extract_story_graph
from rasa_core.stories.markdown import StoryFileReader
from rasa_core.stories.steps import StoryGraph

DOMAIN = Domain.from_yaml("{intents: [], actions: [], templates: {}}")

RESTAURANT = """
## greet
* greet
  - utter_greet
> ready

## search
> ready
* inform{"cuisine": "thai"} OR inform{"cuisine": "italian"}
  - action_search
  - slot{"matches": 4}
> results

## next
> results{"matches": 4}
* deny
  - action_next
> results

## book
> results
* affirm
  - action_book

## lost
> nobody_leads_here
* bye
  - utter_bye
> nothing_goes_on_here
"""


def graph_of(text: str) -> StoryGraph:
    return StoryGraph(StoryFileReader(None).process_lines(text.split("\n")))


def diagram_of(text: str, max_history: int | None = 2) -> Diagram:
    return StoryFlow(graph_of(text), max_history, lambda message: message.as_story_string()).diagram("Stories")


def arrows(diagram: Diagram) -> list[tuple[str, tuple[str, ...], str]]:
    nodes = diagram.nodes
    return [(nodes[edge.start].name, edge.labels, nodes[edge.end].name) for edge in diagram.edges]


def names(diagram: Diagram) -> list[str]:
    return sorted(node.name for node in diagram.nodes if node.kind is Kind.ACTION)


# -- what is drawn


def test_messages_are_labels_between_actions() -> None:
    diagram = diagram_of("## one\n* greet\n  - utter_hello\n  - utter_ask\n* bye\n  - utter_bye\n")
    assert arrows(diagram) == [
        ("start", ("greet",), "utter_hello"),
        ("utter_hello", ("",), "utter_ask"),
        ("utter_ask", ("bye",), "utter_bye"),
        ("utter_bye", ("",), "end"),
    ]


def test_stories_that_begin_alike_share_the_beginning() -> None:
    story = "## {0}\n* greet\n  - utter_hello\n* {0}\n  - utter_{0}\n\n"
    assert names(diagram_of(story.format("a") + story.format("b"))) == ["utter_a", "utter_b", "utter_hello"]


TWICE = "## one\n* a\n  - x\n* b\n  - y\n* c\n  - x\n* d\n  - z\n"


@pytest.mark.parametrize(("max_history", "count"), [(1, 1), (2, 2), (5, 2)])
def test_an_action_is_drawn_once_for_each_history(max_history: int, count: int) -> None:
    assert names(diagram_of(TWICE, max_history)).count("x") == count


def test_values_of_entities_make_no_other_history() -> None:
    text = '## one\n* inform{"a": 1}\n  - x\n* b\n  - y\n\n## two\n* inform{"a": 2}\n  - x\n* c\n  - z\n'
    diagram = diagram_of(text)
    assert ("start", ('inform{"a": 1}', 'inform{"a": 2}'), "x") in arrows(diagram)


def test_nodes_from_which_all_goes_on_alike_are_one() -> None:
    text = "## one\n* a\n  - x\n* c\n  - z\n  - last\n\n## two\n* b\n  - y\n* c\n  - z\n  - last\n"
    assert names(diagram_of(text, 3)) == ["last", "x", "y", "z"]


def test_unmerged_each_action_of_each_story_is_drawn() -> None:
    text = "## one\n* a\n  - x\n\n## two\n* a\n  - x\n"
    assert names(diagram_of(text, None)) == ["x", "x"]


def test_checkpoints_that_lead_back_become_loops() -> None:
    found = arrows(diagram_of(RESTAURANT))
    assert ("action_next", ('if {"matches": 4} \u203a deny',), "action_next") in found
    assert ("action_search", ('if {"matches": 4} \u203a deny',), "action_next") in found


def test_a_loop_without_any_action_ends() -> None:
    text = "## one\n* a\n  - x\n> again\n\n## two\n> again\n* b\n> again\n\n## three\n> again\n* c\n  - z\n"
    assert names(diagram_of(text)) == ["x", "z"]


def test_alternatives_are_labels_of_one_arrow() -> None:
    labels = ('inform{"cuisine": "thai"}', 'inform{"cuisine": "italian"}')
    assert ("utter_greet", labels, "action_search") in arrows(diagram_of(RESTAURANT))


def test_what_an_action_brings_about_stands_in_its_node() -> None:
    diagram = diagram_of(RESTAURANT)
    assert [node.details for node in diagram.nodes if node.name == "action_search"] == [('slot{"matches": 4}',)]


def test_checkpoints_that_lead_nowhere_are_drawn() -> None:
    diagram = diagram_of(RESTAURANT)
    assert ("nobody_leads_here", ("bye",), "utter_bye") in arrows(diagram)
    assert ("utter_bye", ("",), "nothing_goes_on_here") in arrows(diagram)


def test_slots_that_repeat_an_entity_are_not_drawn() -> None:
    text = '## one\n* inform{"name": "Anna"}\n  - slot{"name": "Anna"}\n  - slot{"mood": "fine"}\n  - x\n'
    assert arrows(diagram_of(text))[0][1] == ('inform{"name": "Anna"} \u203a slot{"mood": "fine"}',)


def test_many_stories_end_each_below_its_last_action() -> None:
    text = "".join(f"## {number}\n* i{number}\n  - a{number}\n\n" for number in range(6))
    ends = [number for number, node in enumerate(diagram_of(text).nodes) if node.kind is Kind.END]
    assert len(ends) == 6


def test_more_histories_than_anybody_could_look_at_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "MOST_NODES", 3)
    with pytest.raises(DrawingError, match=r"more than 3 different histories.* smaller max_history"):
        diagram_of(TWICE)


TURNS = st.lists(st.tuples(st.sampled_from("abc"), st.lists(st.sampled_from("xyz"), max_size=2)), max_size=5)


@given(st.lists(TURNS, min_size=1, max_size=6), st.sampled_from([1, 2, 3, None]))
def test_every_story_is_a_way_through_the_diagram(
    stories: list[list[tuple[str, list[str]]]], history: int | None
) -> None:
    lines = []
    for number, turns in enumerate(stories):
        lines.append(f"## {number}")
        for intent, actions in turns:
            lines += [f"* {intent}", *(f"  - {action}" for action in actions)]
    diagram = diagram_of("\n".join(lines), history)
    onward: dict[int, list[tuple[str, int]]] = {}
    for edge in diagram.edges:
        onward.setdefault(edge.start, []).extend((label, edge.end) for label in edge.labels)
    for turns in filter(None, stories):
        steps: list[tuple[str, str]] = []
        said: list[str] = []
        for intent, actions in turns:
            said.append(intent)
            for action in actions:
                steps.append((" \u203a ".join(said), action))
                said = []
        steps.append((" \u203a ".join(said), "end"))
        here = {0}
        for words, name in steps:
            here = {
                end
                for node in here
                for label, end in onward.get(node, [])
                if (label, diagram.nodes[end].name) == (words, name)
            }
        assert here, (turns, arrows(diagram))


# -- how it is written


def drawn(tmp_path: Path, text: str, ending: str = ".svg", *, max_history: int = 2, nlu: Examples | None = None) -> str:
    stories, output = tmp_path / "stories.md", tmp_path / f"picture{ending}"
    stories.write_text(text, encoding="utf-8")
    visualize_stories(stories, DOMAIN, output, max_history, None, nlu)
    return output.read_text(encoding="utf-8")


HOSTILE = """
## <b>&"
* greet{"name": "<script>alert(1)</script>\\u0000\\ud800]]>"}
  - utter_"<&\\`-->
  - |#;%%
"""


@pytest.mark.parametrize("text", [RESTAURANT, HOSTILE, ""], ids=["restaurant", "hostile", "empty"])
def test_svg_is_well_formed(tmp_path: Path, text: str) -> None:
    assert ElementTree.fromstring(drawn(tmp_path, text)).tag == "{http://www.w3.org/2000/svg}svg"


def test_html_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    page = drawn(tmp_path, HOSTILE, ".html")
    assert "<script" not in page
    assert page.count("http") == page.count('xmlns="http://www.w3.org/2000/svg"')
    assert "<svg" in page
    assert "@media (prefers-color-scheme: dark) {" in page


def test_dot_keeps_quotes_and_backslashes_in_strings(tmp_path: Path) -> None:
    source = drawn(tmp_path, '## one\n* say{"it": "a \\"b\\" \\\\ c"}\n  - x\n', ".dot")
    assert '"say{\\"it\\": \\"a \\\\\\"b\\\\\\" \\\\\\\\ c\\"}"' in source


def test_mermaid_keeps_quotes_out_of_strings(tmp_path: Path) -> None:
    source = drawn(tmp_path, '## one\n* say{"it": "<b>"}\n  - x\n', ".mmd")
    assert 'n0 -->|"say{#34;it#34;: #34;#60;b#62;#34;}"| n1' in source


def test_long_texts_are_cut_and_told_whole_where_the_pointer_rests(tmp_path: Path) -> None:
    name = "utter_" + "very_" * 20 + "long"
    picture = drawn(tmp_path, f"## one\n* greet\n  - {name}\n")
    assert f"<title>{name}</title>" in picture
    assert f">{name[:45]}…</text>" in picture


def test_many_labels_are_cut_and_told_whole_where_the_pointer_rests(tmp_path: Path) -> None:
    alternatives = " OR ".join(f"intent_{number}" for number in range(9))
    picture = drawn(tmp_path, f"## one\n* {alternatives}\n  - x\n")
    assert ">… and 5 more</text>" in picture
    assert "intent_7\nintent_8</title>" in picture


def test_the_font_is_as_large_as_asked_for(tmp_path: Path) -> None:
    for size in (12, 24):
        visualize_stories(graph_of(TWICE), DOMAIN, tmp_path / f"{size}.svg", fontsize=size)
    widths = [float(ElementTree.parse(tmp_path / f"{size}.svg").getroot().attrib["width"]) for size in (12, 24)]
    assert 'font-size="24"' in (tmp_path / "24.svg").read_text(encoding="utf-8")
    assert widths[1] > widths[0]


def test_steps_can_be_drawn_without_a_file(tmp_path: Path) -> None:
    visualize_stories(graph_of(RESTAURANT).story_steps, DOMAIN, tmp_path / "x.mmd", should_merge_nodes=False)
    assert "action_book" in (tmp_path / "x.mmd").read_text(encoding="utf-8")


def test_max_history_below_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DrawingError, match="max_history is at least 1, not 0"):
        visualize_stories(graph_of(TWICE), DOMAIN, tmp_path / "x.svg", 0)


def test_the_picture_is_the_same_in_every_process(tmp_path: Path) -> None:
    here = drawn(tmp_path, RESTAURANT)
    code = (
        "import sys; from rasa_core.domain import Domain; from rasa_core.drawing.stories import *;"
        "visualize_stories(sys.argv[1], Domain.from_yaml('{intents: [], actions: []}'), sys.argv[2])"
    )
    for seed in ("1", "2"):
        arguments = [sys.executable, "-c", code, str(tmp_path / "stories.md"), str(tmp_path / "other.svg")]
        subprocess.run(arguments, check=True, env={**os.environ, "PYTHONHASHSEED": seed})
        assert (tmp_path / "other.svg").read_text(encoding="utf-8") == here


# -- examples of messages

MARKDOWN = """
## intent:inform
- anything
- I want [thai](cuisine:Thai) food <!-- not this -->
## intent: greet
* good [morning](time)
+ hello
## synonym:Thai
- thaï
"""


def test_an_example_with_the_same_entities_takes_the_place_of_a_message(tmp_path: Path) -> None:
    (tmp_path / "nlu.md").write_text(MARKDOWN, encoding="utf-8")
    text = '## one\n* inform{"cuisine": "italian"}\n  - x\n* greet\n  - y\n* bye\n  - z\n'
    source = drawn(tmp_path, text, ".mmd", nlu=tmp_path / "nlu.md")
    assert "“I want thai food”" in source
    assert "“hello”" in source
    assert '|"bye"|' in source


def test_examples_are_read_from_json(tmp_path: Path) -> None:
    content = '{"rasa_nlu_data": {"common_examples": [{"text": "hi", "intent": "greet", "entities": []}]}}'
    (tmp_path / "nlu.json").write_text(content, encoding="utf-8")
    assert "“hi”" in drawn(tmp_path, "## one\n* greet\n  - x\n", ".mmd", nlu=tmp_path / "nlu.json")


def test_examples_can_be_given_as_a_mapping(tmp_path: Path) -> None:
    source = drawn(tmp_path, "## one\n* greet\n  - x\n", ".mmd", nlu={"greet": ["good [day](time)"]})
    assert "“good day”" in source


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("nlu.json", "{]", "nlu.json:1: not valid JSON"),
        ("nlu.json", '{"rasa_nlu_data": []}', "expected .*common_examples"),
        ("nlu.md", "## story\n* greet\n", "this is no NLU data; expected Markdown with sections like ## intent:greet"),
        ("nlu.md", "## synonym:a\n- b\n", "there are no examples of intents"),
    ],
)
def test_unreadable_examples_are_an_error(tmp_path: Path, name: str, content: str, problem: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(NLUDataError, match=problem):
        examples_by_intent(tmp_path / name)


def test_a_wrong_example_in_a_mapping_is_an_error() -> None:
    with pytest.raises(NLUDataError, match=r"the examples of .greet.: .* is not closed"):
        examples_by_intent({"greet": ["good [day](time"]})


def test_examples_that_are_not_there_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(NLUDataError, match="there is no such file; check the path"):
        examples_by_intent(tmp_path / "nowhere.md")


# -- checkpoints


def test_a_story_graph_is_drawn_with_its_steps_and_checkpoints(tmp_path: Path) -> None:
    graph = graph_of(RESTAURANT)
    visualize_story_graph(graph, tmp_path / "graph.mmd")
    source = (tmp_path / "graph.mmd").read_text(encoding="utf-8")
    for text in ('{{"ready"}}', '{{"results"}}', '["book<br/>* affirm<br/>- action_book"]', "matches = 4"):
        assert text in source
    assert "GENR_" not in source


def test_a_story_graph_draws_itself(tmp_path: Path) -> None:
    (tmp_path / "stories.md").write_text(RESTAURANT, encoding="utf-8")
    extract_story_graph(tmp_path / "stories.md", DOMAIN).visualize(tmp_path / "graph.html")
    assert "part of a story" in (tmp_path / "graph.html").read_text(encoding="utf-8")


def test_the_parameters_of_old_are_taken(tmp_path: Path) -> None:
    (tmp_path / "stories.md").write_text("## s\n* greet\n- utter_greet\n")
    domain = Domain.from_yaml("{intents: [greet], actions: [utter_greet], templates: {utter_greet: [hi]}}")
    examples = {"greet": ["hello there"]}

    drawn = visualize_stories(
        tmp_path / "stories.md", domain, None, 2, None, None, True, 12, True, training_data=examples
    )

    assert any("hello there" in str(edge) for edge in drawn.edges)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["stories.md"]
