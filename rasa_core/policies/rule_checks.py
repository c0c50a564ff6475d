"""Checks of rules: contradictions to stories and to one another, unknown names, and missing or superfluous steps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from rasa_core.events import ACTION_LISTEN_NAME, ActionExecuted, Event, SlotSet, UserUttered
from rasa_core.events.rasa3 import ActionExecutionRejected, ActiveLoop
from rasa_core.exceptions import did_you_mean
from rasa_core.rasa3.domain_parts import SNIPPET
from rasa_core.rasa3.rule import Rule
from rasa_core.support.places import Place
from rasa_core.trackers import DialogueStateTracker
from rasa_core.trackers.event_log import is_listening

if TYPE_CHECKING:
    from rasa_core.domain import Domain


class Decides(Protocol):
    """The part of `RulePolicy` that the checks use."""

    table: Any

    def decide(self, tracker: DialogueStateTracker) -> Any: ...  # noqa: D102

    def is_beaten_by_fallback(self, action: str | None, domain: Domain) -> bool: ...  # noqa: D102


def sources_in_stories(
    policy: Decides, stories: Iterable[DialogueStateTracker], domain: Domain
) -> tuple[set[str], list[str]]:
    """Return the sources of decisions that stories have, too, and a line for each contradiction in a story."""
    used: set[str] = set()
    problems: list[str] = []
    for tracker in stories:
        problems += _compare(policy, tracker, domain, used)
    return used, problems


def _compare(policy: Decides, tracker: DialogueStateTracker, domain: Domain, used: set[str]) -> list[str]:
    problems: list[str] = []
    places: Sequence[Sequence[Place]] = getattr(tracker, "action_sources", list)()
    twin = tracker.init_copy()
    number, is_first = 0, True
    for event in tracker.applied_events():
        if isinstance(event, ActionExecuted):
            # The first action of a conversation is always ``action_listen``, which no policy predicts.
            if not event.unpredictable and not is_first:
                decision = policy.decide(twin)
                # A story may interrupt a form: then the form has refused to run, and the rules decide again.
                is_beaten = policy.is_beaten_by_fallback(decision.action, domain)
                if is_beaten and decision.no_user:  # The loop would not run, so it contradicts nothing.
                    decision = decision._replace(action=None, no_user=False)
                if decision.no_user and decision.action != event.action_name and twin.history.loop is not None:
                    twin.update(ActionExecutionRejected(twin.history.loop.name))
                    decision = policy.decide(twin)
                    is_beaten = policy.is_beaten_by_fallback(decision.action, domain)
                if decision.action is not None:
                    if not is_beaten:  # A decision that the fallback overrules is not shared by the story.
                        used.add(decision.source)
                    if decision.action != event.action_name:
                        here = places[number][0] if number < len(places) and places[number] else tracker.sender_id
                        problems.append(_contradiction(policy, decision, event.action_name, here))
            number, is_first = number + 1, False
        twin.update(event)
    return problems


def _contradiction(policy: Decides, decision: Any, action: str, here: object) -> str:
    rule = f"the rules say {decision.action!r}"
    if decision.source.isdecimal():
        rule = f"the rule at {', '.join(policy.table.entries[int(decision.source)].places)} says {decision.action!r}"
    return f"{here}: the story says {action!r}, but {rule}. Change one of them."


def check_rules(
    policy: Decides, rules: Sequence[Rule], domain: Domain, *, restrict_rules: bool
) -> tuple[set[str], list[str], list[str]]:
    """Return the sources of decisions in the rules themselves, and a line for each invalid rule and contradiction."""
    problems: list[str] = []
    decided: set[str] = set()
    for rule in rules:
        messages = [place for event, place in rule.steps if isinstance(event, UserUttered)]
        if restrict_rules and len(messages) > 1:
            text = "a rule has one message of the user at most; write a story, or set restrict_rules: false."
            problems.append(f"{messages[1]}: {text}")
        problems += _unknown_slots(rule, domain)
    contradictions = [line for rule in rules for line in _unknown_actions(rule, domain)]
    contradictions += [line for rule in rules for line in _follow(policy, rule, domain, decided)]
    return decided, problems, [*contradictions, *_incomplete(rules, domain)]


def _events(rule: Rule) -> list[tuple[Event, Place]]:
    return [*((event, rule.place) for event in rule.conditions), *rule.steps]


def _unknown_slots(rule: Rule, domain: Domain) -> list[str]:
    slots = {slot.name for slot in domain.slots}
    named = [(event.key, place) for event, place in _events(rule) if isinstance(event, SlotSet)]
    return [_unknown("slot", name, place, slots) for name, place in named if name not in slots]


def _unknown(kind: str, name: str | None, place: Place, known: Iterable[str]) -> str:
    return f"{place}: the domain has no {kind} {name!r}.{did_you_mean(str(name), sorted(known))}"


def _unknown_actions(rule: Rule, domain: Domain) -> list[str]:
    problems = []
    for event, place in _events(rule):
        if isinstance(event, ActionExecuted) and event.action_name not in domain.action_indices:
            problems.append(_unknown("action", event.action_name, place, domain.action_indices))
        if isinstance(event, ActiveLoop) and event.loop_name not in (None, *domain.action_indices):
            forms = domain.rasa.forms if domain.rasa is not None else ()
            problems.append(_unknown("form", event.loop_name, place, forms))
    return problems


def _follow(policy: Decides, rule: Rule, domain: Domain, decided: set[str]) -> list[str]:
    """Replay a rule as a conversation, and return a line for each action that the rules decide differently.

    The sources of the decisions are added to `decided`.
    """
    before = [] if rule.at_start else [ActionExecuted(SNIPPET)]  # The placeholder for earlier actions.
    tracker = DialogueStateTracker.from_events(rule.name, [*before, *rule.conditions], domain)
    problems: list[str] = []
    predicts = rule.at_start
    steps: list[tuple[Event, Place]] = list(rule.steps)
    last = steps[-1][0] if steps else None
    listening = ActionExecuted(ACTION_LISTEN_NAME)
    if rule.waits and last is not None and not is_listening(last):
        # At its end a rule waits for the user, unless ``wait_for_user_input`` is false.
        steps.append((listening, steps[-1][1]))
    for number in _later_messages(steps):  # The bot listens before each later message, too.
        steps.insert(number, (listening, steps[number][1]))
    is_heard = False
    for event, place in steps:
        if isinstance(event, UserUttered):
            if not is_heard:
                tracker.update(listening)
            is_heard = predicts = True
        if isinstance(event, ActionExecuted):
            decision = policy.decide(tracker) if predicts else None
            if decision is not None and decision.no_user and decision.action != event.action_name:
                tracker.update(ActionExecutionRejected(str(decision.action)))
                decision = policy.decide(tracker)
            if decision is not None:
                decided.add(decision.source)
            if decision is not None and decision.action not in (None, event.action_name):
                text = f"rules contradict one another: this one says {event.action_name!r}"
                problems.append(f"{place}: {text}, but {_told(policy, decision)}. Change one of them.")
            predicts = True
        tracker.update(event)
        for filled in domain.slots_in_story(event.entities) if isinstance(event, UserUttered) else ():
            tracker.update(filled)
    return problems


def _later_messages(steps: Sequence[tuple[Event, Place]]) -> list[int]:
    """Return the indices of messages, the last first, except the first and messages after ``action_listen``."""
    messages = [number for number, (event, _) in enumerate(steps) if isinstance(event, UserUttered)]
    return [number for number in messages[:0:-1] if not is_listening(steps[number - 1][0])]


def _told(policy: Decides, decision: Any) -> str:
    if decision.source.isdecimal():
        return f"that at {', '.join(policy.table.entries[int(decision.source)].places)} says {decision.action!r}"
    return f"{decision.source} says {decision.action!r}"


def _incomplete(rules: Sequence[Rule], domain: Domain) -> list[str]:
    """Return a line for each action that sets a slot, or changes a loop, in one rule but not in another rule."""
    featurized = {slot.name for slot in domain.slots if slot.has_features()}
    told: dict[str, list[tuple[frozenset[str], frozenset[str], Place]]] = {}
    for rule in rules:
        known: set[str] = {_effect(event) for event in rule.conditions}
        for number, (event, place) in enumerate(rule.steps):
            if isinstance(event, ActionExecuted):
                effects = _effects(rule.steps[number + 1 :], featurized)
                known |= effects
                if rule.waits or number + 1 + len(effects) < len(rule.steps):
                    told.setdefault(event.action_name, []).append((effects, frozenset(known), place))
            else:
                known.add(_effect(event))
    problems = []
    for action, found in told.items():
        everything: frozenset[str] = frozenset().union(*(effects for effects, _, _ in found))
        for _, before, place in found:
            if missing := sorted(everything - before):
                where = next(str(other) for effects, _, other in found if missing[0] in effects)
                problems.append(f"{place}: {action!r} is not followed by {', '.join(missing)} as it is at {where}.")
    return problems


def _effects(later: Sequence[tuple[Event, Place]], featurized: set[str]) -> frozenset[str]:
    """Return the slots and loops that are set right after an action, as far as policies see them."""
    found: set[str] = set()
    for event, _ in later:
        if not isinstance(event, SlotSet | ActiveLoop):
            break
        if not isinstance(event, SlotSet) or event.key in featurized:
            found.add(_effect(event))
    return frozenset(found)


def _effect(event: Event) -> str:
    if isinstance(event, SlotSet):
        return f"slot_was_set: {event.key}"
    return "active_loop:" if isinstance(event, ActiveLoop) else ""
