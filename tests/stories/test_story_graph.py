"""The graph of story steps: their order, and its cycles."""

from __future__ import annotations

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from rasa_core.events import ActionExecuted, SlotSet
from rasa_core.stories.steps import STORY_START, Checkpoint, StoryGraph, StoryStep, order_checkpoints

_names = st.sampled_from([STORY_START, *"abcdef"])


@st.composite
def _graphs(draw: st.DrawFn) -> StoryGraph:
    ends = st.lists(_names, max_size=2).map(lambda names: [Checkpoint(name) for name in names])
    steps = st.builds(StoryStep, st.just("s"), ends, ends, st.just([ActionExecuted("x")]))
    return StoryGraph(draw(st.lists(steps, max_size=8)))


def _edges(graph: StoryGraph) -> set[tuple[str, str]]:
    return {
        (start.name, end.name)
        for step in graph.story_steps
        for start in step.start_checkpoints
        for end in step.end_checkpoints
    }


def _is_acyclic(edges: set[tuple[str, str]]) -> bool:
    names = {name for edge in edges for name in edge}
    while True:
        sinks = {name for name in names if not any(start == name for start, _ in edges)}
        if not sinks:
            return not names
        names -= sinks
        edges = {edge for edge in edges if edge[1] not in sinks}


@settings(max_examples=80, deadline=None)
@given(_graphs())
def test_every_forward_edge_leads_to_a_later_checkpoint(graph):
    rank = {name: index for index, name in enumerate(graph.checkpoint_names)}

    for start, end in _edges(graph):
        assert graph.leads_back(start, end) == (rank[start] >= rank[end])


@settings(max_examples=80, deadline=None)
@given(_graphs())
def test_a_graph_without_its_cycles_has_none(graph):
    without = graph.with_cycles_removed()

    assert _is_acyclic(_edges(without))
    assert without.cyclic_edges() == []


@settings(max_examples=80, deadline=None)
@given(_graphs())
def test_a_graph_without_cycles_stays_as_it_is(graph):
    if _is_acyclic(_edges(graph)):
        assert graph.with_cycles_removed().story_steps == graph.story_steps
        assert graph.cyclic_edges() == []


def test_steps_come_after_those_that_lead_to_them(read):
    graph = StoryGraph(read("## c\n> y\n* greet\n\n## b\n> x\n* greet\n> y\n\n## a\n* greet\n> x\n\n## d\n* greet"))

    names = [step.block_name for step in graph.ordered_steps()]

    assert names == ["a", "d", "b", "c"]


def test_a_cycle_is_cut_at_the_step_that_leads_back(read):
    graph = StoryGraph(
        read("## a\n* greet\n> x\n\n## b\n> x\n* deny\n> y\n\n## c\n> y\n* affirm\n> x\n\n## d\n> x\n* goodbye")
    )

    [(step, checkpoint)] = graph.cyclic_edges()
    assert (step.block_name, checkpoint) == ("c", Checkpoint("x"))
    assert [end.name for end in graph.with_cycles_removed().story_steps[2].end_checkpoints] == ["CYCL_x"]


def test_a_step_is_split_if_only_one_way_through_it_leads_back(read):
    graph = StoryGraph(read("## a\n> STORY_START\n> y\n* greet\n> x\n\n## b\n> x\n* deny\n> y"))

    entered, looped, _ = graph.with_cycles_removed().story_steps

    assert (entered.start_checkpoints, entered.end_checkpoints) == (
        (Checkpoint(STORY_START),),
        (Checkpoint("x"),),
    )
    assert (looped.start_checkpoints, looped.end_checkpoints) == ((Checkpoint("y"),), (Checkpoint("CYCL_x"),))


def test_a_step_that_ends_where_it_starts_is_a_cycle(read):
    graph = StoryGraph(read("## a\n* greet\n> x\n\n## b\n> x\n* deny\n> x"))

    assert [step.block_name for step, _ in graph.cyclic_edges()] == ["b"]


def test_a_chain_of_any_length_is_ordered():
    length = 20_000
    names, back = order_checkpoints({index: [index + 1] for index in range(length)})

    assert names == list(range(length + 1))
    assert not back


def test_the_edges_of_cycles_are_named_by_their_checkpoints(read):
    graph = StoryGraph(read("## a\n* greet\n> x\n\n## b\n> x\n* deny\n> y\n\n## c\n> y\n* affirm\n> x"))

    assert graph.cyclic_edge_ids == {("y", "x")}
    assert graph.with_cycles_removed().cyclic_edge_ids == set()


def test_names_are_sorted_as_programs_of_old_expect():
    graph = {"a": ["b", "c", "d"], "b": [], "c": ["d"], "d": [], "e": ["f"], "f": []}
    assert StoryGraph.topological_sort(graph) == (deque("efacdb"), set())

    names, cut = StoryGraph.topological_sort({**graph, "d": ["a"], "f": ["e"]})
    assert (list(names), cut) == (list("efacdb"), {("d", "a"), ("f", "e")})


def test_a_step_can_be_copied_and_grow():
    step = StoryStep("s", events=[ActionExecuted("utter_a")])
    copy = step.create_copy(use_new_id=False)
    copy.add_event(SlotSet("name", "Ada"))
    assert copy.as_story_string(flat=True) == '    - utter_a\n    - slot{"name": "Ada"}\n'
    assert (len(step.events), len(copy.events), copy.sources) == (1, 2, (None, None))
