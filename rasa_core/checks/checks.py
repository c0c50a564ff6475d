"""Looks for mistakes in a domain, its stories and its NLU data, without training.

=========================  =========  =========================================================================
Kind                       Severity   Meaning
=========================  =========  =========================================================================
``domain``                 error      the domain, or an entry of it, cannot be read
``grammar``                error      a story, or a file of stories, cannot be read
``contradiction``          error      the same history, but another action follows
``unreached-checkpoint``   error      stories begin with a checkpoint to which no way leads
``impossible-condition``   error      a slot never has the value that a checkpoint asks for
``endless-loop``           error      checkpoints lead back to themselves, and the user never speaks
``undeclared-...``         error      stories name an intent, entity, slot or action that the domain has not
``unused-...``             warning    the domain has an intent, entity, slot or action that no story names
``unknown-value``          warning    a categorical slot gets a value that is none of its values
``template-not-action``    warning    a template that no action says
``dead-end``               warning    stories end with a checkpoint from which none goes on
``long-turn``              warning    more actions in a row than a server runs
``repeated-story``         warning    the same story under two names
``ignored-line``           warning    a line of a story that says nothing
``unknown-key``            warning    a key of the domain that says nothing
=========================  =========  =========================================================================

Those of NLU data are listed in `rasa_core.checks.nlu`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from rasa_core.checks.checkpoints import check_checkpoints, check_loops, check_repeated_stories
from rasa_core.checks.contradictions import (
    LONGEST_HISTORY,
    Contradiction,
    conversations_for,
    find_contradictions,
    find_long_runs,
    read_turns,
)
from rasa_core.checks.findings import Finding, finding, in_order, place_of
from rasa_core.checks.lenient import listen_to_readers, read_domain_leniently, read_stories_leniently
from rasa_core.checks.names import check_names
from rasa_core.checks.nlu import check_data_files, check_domain_names
from rasa_core.domain import Domain
from rasa_core.policies.features.classic import MaxHistoryTrackerFeaturizer
from rasa_core.stories.steps import StoryGraph, StoryStep

__all__ = ["DEFAULT_MAX_HISTORY", "MOST_PREDICTIONS", "Finding", "check_stories"]

# What MemoizationPolicy() compares.
DEFAULT_MAX_HISTORY: Final = MaxHistoryTrackerFeaturizer().max_history
# How many predictions a message leads to at most; the last of them has to be the one to listen.
MOST_PREDICTIONS: Final = 10


def check_stories(
    domain_text: str,
    stories: str | Path,
    max_history: int = DEFAULT_MAX_HISTORY,
    *,
    domain_name: str = "domain.yml",
    nlu_files: Sequence[Path] = (),
) -> list[Finding]:
    """Look for mistakes in a domain, its stories and its NLU data.

    Parameters
    ----------
    domain_text
        YAML.
    stories
        A story file, or a folder.
    max_history
        How many states have to be equal for two histories to be the same.
    domain_name
        What findings call the domain, such as its path.
    nlu_files
        All NLU data of the bot; none if something else understands its messages.

    Returns
    -------
    list of Finding
        Those of the domain, then those of the other files, in the order of file and line.
    """
    found: list[Finding] = []
    with listen_to_readers(found):
        checked = read_domain_leniently(domain_text, domain_name, found)
        read = read_stories_leniently(Path(stories), checked.domain, found)
        found += check_loops(read.steps)
        found += check_repeated_stories(read.stories)
        if read.is_complete:  # Otherwise what is missing may stand in what could not be read.
            found += check_checkpoints(read.steps)
        if checked.domain is not None:
            found += check_names(checked, read.steps, is_complete=read.is_complete)
            found += _check_turns(read.steps, checked.domain, max_history)
        if nlu_files:
            found += _check_nlu(nlu_files, checked.domain, domain_name)
    return in_order(found, domain_name)


def _check_nlu(files: Sequence[Path], domain: Domain | None, domain_name: str) -> list[Finding]:
    data, found = check_data_files(files)
    if data is None or domain is None or not data.examples:
        return found
    # The one that begins anew is sent as /restart.
    intents = [intent for intent in domain.intents if intent in data.intents or intent != domain.restart_intent]
    return found + check_domain_names(data, intents, domain.entities, domain_name)


def _check_turns(steps: Iterable[StoryStep], domain: Domain, max_history: int) -> Iterator[Finding]:
    conversations = read_turns(conversations_for(StoryGraph(steps), domain, max_history))
    for contradiction in find_contradictions(conversations, max_history):
        yield _contradiction_finding(contradiction, max_history)
    for source, count in find_long_runs(conversations, MOST_PREDICTIONS).items():
        text = (
            f"{count} actions in a row, without listening to the user in between. A server predicts "
            f"{MOST_PREDICTIONS} for a message, and the last has to be action_listen."
        )
        yield finding("long-turn", "warning", text, [place_of(source)])


def _contradiction_finding(contradiction: Contradiction, max_history: int) -> Finding:
    actions = list(dict.fromkeys(action for action, _ in contradiction.ways))
    states = "state" if max_history == 1 else f"{max_history} states"
    needed = contradiction.needed
    if needed is not None:
        remedy = f"With max_history {needed} they differ: raise it, or let the stories agree"
    else:
        remedy = (
            f"No max_history up to {LONGEST_HISTORY} tells all of them apart: let the stories agree, or differ by a "
            "slot, an intent or an entity"
        )
    text = f"the same history (the last {states}) is followed by {_either(sorted(actions))}. {remedy}."
    places = [place_of(source, action) for action, source in contradiction.ways]
    return finding("contradiction", "error", text, places)


def _either(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
