"""A rule as data: what must hold, and what the bot does then; and the rules that policies of Rasa 2 stand for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rasa_core.events import ActionExecuted, Event, UserUttered
from rasa_core.events.rasa3 import ActiveLoop
from rasa_core.support.places import Place

_TWO_STAGES: Final = "action_two_stage_fallback"
_NOT_UNDERSTOOD: Final = "nlu_fallback"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; one with ``or`` is several.

    Attributes
    ----------
    name, place
        What it is called, and where it begins.
    conditions : sequence of Event
        The slots and the loop that it asks for.
    steps : sequence of (Event, Place)
        What happens, as it stands in the file.
    at_start : bool
        Whether it holds only where a conversation begins.
    waits : bool
        Whether the bot waits for the user in the end.
    """

    name: str
    place: Place
    conditions: Sequence[Event]
    steps: Sequence[tuple[Event, Place]]
    at_start: bool = False
    waits: bool = True


def rules_of_old_policies(
    policies: Sequence[Mapping[str, Any]],
    triggers: Mapping[str, tuple[str, Place]],
    told: Collection[str],
    place: Place,
) -> Iterator[Rule]:
    """Yield the rules that do what ``MappingPolicy`` and the fallbacks of Rasa 2 did.

    Parameters
    ----------
    triggers
        By intent, the action that ``triggers:`` names in the domain, and where.
    told
        The intents that rules and stories tell of: there, these decide.
    place
        Where the policies stand.
    """
    # As the classes may be named with their module, such as rasa.core.policies.mapping_policy.MappingPolicy.
    names = {str(one.get("name")).rpartition(".")[2]: one for one in policies}
    if "MappingPolicy" in names:
        for intent, (action, here) in triggers.items():
            if intent not in told:
                yield _rule(intent, here, action)
    fallback = names.get("FallbackPolicy", names.get("TwoStageFallbackPolicy"))
    if fallback is not None and _NOT_UNDERSTOOD not in told:
        if "TwoStageFallbackPolicy" in names:
            yield _rule(_NOT_UNDERSTOOD, place, _TWO_STAGES, ActiveLoop(_TWO_STAGES))
        else:
            yield _rule(_NOT_UNDERSTOOD, place, str(fallback.get("fallback_action_name") or "action_default_fallback"))


def _rule(intent: str, place: Place, action: str, *more: Event) -> Rule:
    message = UserUttered(None, {"name": intent, "confidence": 1.0})
    steps = tuple((event, place) for event in (message, ActionExecuted(action), *more))
    return Rule(f"{intent} leads to {action}", place, (), steps)
