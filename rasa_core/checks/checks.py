"""Looks for mistakes in a domain, its stories and its NLU data, without training.

=========================  =========  =========================================================================
Kind                       Severity   Meaning
=========================  =========  =========================================================================
``domain``                 error      the domain, or an entry of it, cannot be read
``grammar``                error      a line of a story, or a file of stories, cannot be read
``lost-turn``              error      a line of a story, or a part of a line, cannot be used
``contradiction``          error      the same history, but another action follows
``unreached-checkpoint``   error      stories begin with a checkpoint with which no story ends
``impossible-condition``   error      a checkpoint has a condition on a slot that never has that value
``endless-loop``           error      checkpoints lead back to themselves without a message of the user in between
``undeclared-...``         error      stories name an intent, entity, slot or action that the domain does not have
``unused-...``             warning    the domain has an intent, entity, slot or action that nothing names
``unseen-value``           warning    a slot gets a value, such as false, that policies cannot tell from one not set
``unknown-value``          warning    a categorical slot gets a value that is not among its values
``template-not-action``    warning    no action says a template
``dead-end``               warning    stories end with a checkpoint with which no story begins
``long-turn``              warning    a story has more actions in a row than a server runs
``repeated-story``         warning    the same story stands under two names
``ignored-line``           warning    a line of a story has no effect
``doubtful-line``          warning    a line of a story breaks the grammar, and was read as it was meant
``unknown-key``            warning    a key of the domain, or of config.yml, has no effect
``not-read``               warning    a file holds stories, and is not read because other files were found first; or
                                      the headings of a Markdown file are almost those of NLU data
``unreadable``             error      a link or folder among the stories leads nowhere, or cannot be read
``configuration``          error      config.yml cannot be read, or names something that does not exist
``no-stories``             warning    the files of stories contain no story
``unread-option``          warning    an option in config.yml has no effect
``unknown-name``           warning    a button names an intent, or a response a slot, that the domain does not have
``foreign-model``          error      a model that this project did not make stands where training would write
=========================  =========  =========================================================================

`rasa_core.checks.nlu` lists the findings in NLU data.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from rasa_core.checks import Finding, finding, in_order
from rasa_core.checks.contradictions import (
    LONGEST_HISTORY,
    Contradiction,
    conversations_for,
    find_contradictions,
    find_long_turns,
    story_actions,
)
from rasa_core.checks.nlu import check_data_files, check_domain_names
from rasa_core.checks.responses import intents_of_buttons
from rasa_core.checks.stories import check_checkpoints, check_loops, check_names, check_repeated_stories
from rasa_core.domain import Domain
from rasa_core.domain.file import (
    DEFAULT_ACTION_NAMES,
    DomainFile,
    check_action_names,
    checked_factory,
    conventional_name,
    names_of_actions,
    read_domain,
)
from rasa_core.exceptions import DomainError, StoryParseError, nearest
from rasa_core.slots import Slot
from rasa_core.stories.builder import LOST, UNKNOWN_NAME
from rasa_core.stories.files import LEFT_OUT
from rasa_core.stories.markdown import StoryFileReader
from rasa_core.stories.steps import StoryGraph, StoryStep
from rasa_core.support.places import Place
from rasa_core.support.problems import Problem, errors_in, listed

__all__ = [
    *("DEFAULT_MAX_HISTORY", "MOST_PREDICTIONS", "Finding", "check_histories", "check_stories", "refuse_unusable"),
    "unusable_turns",
]

# The default of MemoizationPolicy().
DEFAULT_MAX_HISTORY: Final = 5
# How many predictions a message leads to at most; the last of them has to be the one to listen.
MOST_PREDICTIONS: Final = 10
_UNUSABLE: Final = frozenset(
    ["grammar", "lost-turn", "undeclared-intent", "undeclared-action", "unreached-checkpoint", "impossible-condition"]
)
"""The kinds of findings because of which policies learn less than the stories contain."""


def check_stories(
    domain_text: str,
    stories: str | Path | Sequence[Path],
    max_history: int = DEFAULT_MAX_HISTORY,
    *,
    domain_name: str = "domain.yml",
    nlu_files: Sequence[Path] = (),
    words: Collection[str] = (),
) -> list[Finding]:
    """Return the mistakes in a domain, its stories and its NLU data, those of the domain first, by file and line.

    Parameters
    ----------
    domain_text
        YAML.
    stories
        A story file, several files, or a folder.
    max_history
        The number of last states that two equal histories share.
    domain_name
        The name of the domain in findings, such as its path.
    nlu_files
        All NLU data of the bot; empty if another interpreter reads its messages.
    words
        Names in the code or settings of the bot, which no story has to name; see `words_of_code`.
    """
    found: list[Finding] = []
    content, is_whole = _read_domain(domain_text, domain_name, found)
    domain = None
    if content is not None and is_whole:
        domain = _build_domain(content, domain_name, found)
    elif content is not None:
        _slots_of(content, domain_name, found)
        if content.templates:  # Without templates, they may be in the part that cannot be read.
            _action_names(content, domain_name, found)
        content = None  # The unreadable part may have the names that the stories use.
    problems: list[Problem] = []
    read = StoryFileReader(domain, problems=problems).read_stories(stories)
    steps = [step for story in read for step in story]
    if not steps and not errors_in(problems):
        text = "there are no stories, so that the bot learns nothing; a story is like: ## name, * greet, - utter_greet."
        places = [Place(str(one)) for one in ([stories] if isinstance(stories, str | Path) else stories)]
        found.append(finding("no-stories", "warning", text, places))
    found += check_loops(steps)
    found += check_repeated_stories(read)
    lines = {} if content is None else content.lines
    found += _check_content(steps, problems, domain, domain_name, lines, words)
    if domain is not None:
        found += check_histories(steps, domain, max_history)
    if nlu_files:
        found += _check_nlu(nlu_files, domain, domain_name)
    return in_order(found, domain_name)


def unusable_turns(
    domain: Domain, stories: str | Path | Sequence[Path], domain_name: str = "the domain"
) -> list[Finding]:
    """Return the findings because of which turns cannot be used for training; with `lenient`, they are warnings."""
    problems: list[Problem] = []
    read = StoryFileReader(domain, problems=problems).read_stories(stories)
    steps = [step for story in read for step in story]
    found = _check_content(steps, problems, domain, domain_name, {})
    return in_order((one for one in found if one.kind in _UNUSABLE), domain_name)


def refuse_unusable(domain: Domain, stories: str | Path | Sequence[Path], domain_name: str = "the domain") -> None:
    """Raise `StoryParseError` with a list of the turns that training cannot use, if there are any."""
    found = unusable_turns(domain, stories, domain_name)
    if found:
        # The first place of each is enough here; check reports all places.
        texts = [f"{replace(place, note=None)}: {one.message}" for one in found for place in one.places[:1]]
        if all(one.kind != "grammar" for one in found):
            texts = [
                listed(texts),
                "Correct this, or train with --lenient, which warns and leaves out what is unusable.",
            ]
        raise StoryParseError(listed(texts))


def _check_content(
    steps: Sequence[StoryStep],
    problems: Sequence[Problem],
    domain: Domain | None,
    domain_name: str,
    lines: Mapping[tuple[str, str], int],
    words: Collection[str] = (),
) -> Iterator[Finding]:
    """Find mistakes in single lines of stories, in their checkpoints and in their names."""
    # Unknown names are found with all places, below; what is left out for its format is told of the folder.
    problems = [one for one in problems if one.kind not in (UNKNOWN_NAME, LEFT_OUT)]
    yield from _findings(problems, "grammar", "ignored-line")
    is_complete = not errors_in(problems)
    if is_complete:  # Otherwise missing names may be in lines that could not be read.
        yield from check_checkpoints(steps)
    if domain is not None:
        yield from check_names(domain, domain_name, lines, steps, words, is_complete=is_complete)


def _findings(problems: Iterable[Problem], of_errors: str, of_warnings: str) -> Iterator[Finding]:
    for problem in problems:
        if problem.kind == LOST:
            yield finding("lost-turn", "error", problem.message, [problem.place])
        else:
            kind = of_errors if problem.severity == "error" else problem.kind or of_warnings
            yield finding(kind, problem.severity, problem.message, [problem.place])


def _check_nlu(files: Sequence[Path], domain: Domain | None, domain_name: str) -> list[Finding]:
    data, found = check_data_files(files)
    if data is None or domain is None or not data.examples:
        return found
    given = {domain.restart_intent, *intents_of_buttons(domain.templates)}  # The one that begins anew is /restart.
    return found + check_domain_names(data, domain.intents, domain.entities, domain_name, needless=given)


def check_histories(steps: Sequence[StoryStep], domain: Domain, max_history: int) -> Iterator[Finding]:
    """Find where the same history is followed by other actions, and turns that are too long."""
    conversations = story_actions(conversations_for(StoryGraph(steps), domain, max_history))
    meant = _meant({action.name for actions in conversations for action in actions}, domain)
    if meant:  # Misspelt names were reported above.
        conversations = [
            [action._replace(name=meant.get(action.name, action.name)) for action in actions]
            for actions in conversations
        ]
    for contradiction in find_contradictions(conversations, max_history):
        yield _contradiction_finding(contradiction, max_history)
    for place, count in find_long_turns(conversations, MOST_PREDICTIONS).items():
        text = (
            f"{count} actions in a row, without listening to the user in between. A server predicts "
            f"{MOST_PREDICTIONS} for a message, and the last has to be action_listen."
        )
        yield finding("long-turn", "warning", text, [place])


def _meant(names: set[str], domain: Domain) -> dict[str, str]:
    """Return the misspelt names of actions, each with the action of the domain that is meant."""
    declared = set(domain.action_names)
    found = {name: nearest(name, domain.action_names) for name in sorted(names - declared)}
    return {name: near[0] for name, near in found.items() if near}


def _contradiction_finding(contradiction: Contradiction, max_history: int) -> Finding:
    *others, last = sorted({action for action, _ in contradiction.actions})
    states = "state" if max_history == 1 else f"{max_history} states"
    needed = contradiction.needed
    if needed is not None:
        remedy = f"With max_history {needed} they differ: raise it, or let the stories agree"
    else:
        remedy = (
            f"No max_history up to {LONGEST_HISTORY} tells all of them apart: let the stories agree, or differ by a "
            "slot, an intent or an entity"
        )
    text = f"the same history (the last {states}) is followed by {', '.join(others)} or {last}. {remedy}."
    places = [Place(place.file, place.line, place.name, note=action) for action, place in contradiction.actions]
    return finding("contradiction", "error", text, places)


# -- the domain, as far as it can be read


def _read_domain(text: str, name: str, found: list[Finding]) -> tuple[DomainFile | None, bool]:
    """Return the readable part of a domain, and whether all of it could be read."""
    problems: list[Problem] = []
    try:
        content = read_domain(text, name, problems)
    except DomainError as error:
        found.append(_domain_finding(error, name))
        return None, False
    found += _findings(problems, "domain", "unknown-key")
    return content, not errors_in(problems)


def _build_domain(content: DomainFile, name: str, found: list[Finding]) -> Domain:
    """Return a domain with remote actions; slots and actions that cannot be built still have their names in it."""
    slots = _slots_of(content, name, found)
    actions = _action_names(content, name, found)
    return Domain(
        content.intents,
        content.entities,
        slots,
        content.templates,
        actions,
        actions,
        "remote",
        intents_without_entities=content.intents_without_entities,
        **content.config,
    )


def _slots_of(content: DomainFile, name: str, found: list[Finding]) -> list[Slot]:
    slots: list[Slot] = []
    for slot, options in content.slots.items():
        try:
            slots += Domain.collect_slots({slot: options})
        except DomainError as error:  # One that policies do not see stands for it, so that its name is known.
            found.append(_domain_finding(error, name, content))
            slots.append(Slot.resolve_by_type("unfeaturized")(slot))
    return slots


def _action_names(content: DomainFile, name: str, found: list[Finding]) -> list[str]:
    try:
        factory = checked_factory(content.action_factory)
    except DomainError as error:
        found.append(_domain_finding(error, name, content))
        factory = "remote"
    section = "action_names" if factory == "remote" and content.action_names else "actions"
    names: list[str] = []
    for written in (content.action_names or []) if section == "action_names" else content.actions:
        action = conventional_name(written)
        try:
            [action] = names_of_actions(factory, [written], None, content.templates)
            check_action_names([*names, action])
        except DomainError as error:
            found.append(_domain_finding(error, name, content))
        if action not in (*names, *DEFAULT_ACTION_NAMES):
            names.append(action)
            content.lines.setdefault(("actions", action), content.lines[section, written])  # A class has another name.
    return names


def _domain_finding(error: DomainError, name: str, content: DomainFile | None = None) -> Finding:
    text = str(error)  # An error that knows its line begins with it; of others, the file tells where their item is.
    place = re.match(rf"{re.escape(name)}(?::(\d+))?(?::\d+)?: ", text)
    line = int(place[1]) if place and place[1] else None
    if line is None and content is not None and error.item is not None:
        line = content.lines.get(error.item)
    return finding("domain", "error", text[place.end() :] if place else text, [Place(name, line)])
