"""The rule policy: predicts by rules, runs loops (forms), and runs a fallback action if no rule fits."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

from rasa_core.domain import Domain
from rasa_core.events import ACTION_LISTEN_NAME, ACTION_RESTART_NAME, Event
from rasa_core.events.rasa3 import LoopInterrupted
from rasa_core.exceptions import ModelError, did_you_mean
from rasa_core.history import State
from rasa_core.policies.policy import Opinion, Policy, Trackers, confidence_of_nlu
from rasa_core.policies.rule_checks import check_rules, sources_in_stories
from rasa_core.policies.rule_table import Asked, Compiler, Entry, LoopInterruptions, RuleTable, previous_of
from rasa_core.policies.training_turns import TrainingTurn, TrainingTurns
from rasa_core.rasa3.history import RasaHistory
from rasa_core.rasa3.rule import Rule
from rasa_core.support.stored_models import reading
from rasa_core.trackers import DialogueStateTracker

FILE_NAME: Final = "rules.json"
FORMAT: Final = 1
DEFAULT_ACTION_OF: Final = {
    "restart": ACTION_RESTART_NAME,
    "back": "action_back",
    "session_start": "action_session_start",
}
"""Intents that every bot answers with the same action."""

_BELOW_MEMORY: Final = math.nextafter(1.0, 0.0)
"""A score above that of any network, and below that of memoization, which knows stories that go on after a fallback."""
DEFAULT: Final = "default"
FALLBACK: Final = "fallback"
START: Final = "start"
"""The source of the decision if no action has run at all, since a custom ``action_session_start`` did not listen."""
DEFAULT_FALLBACK: Final = "action_default_fallback"


UNFOLLOWED: Final = "no policy follows rules, since config.yml names no RulePolicy; add it, or remove the rules"


class Decision(NamedTuple):
    """The decision of the rules at one moment.

    Parameters
    ----------
    action : str or None
        The action; None if no rule fits.
    source : str
        The source of the decision: the number of an entry, the name of a loop, ``default`` or ``fallback``.
    no_user : bool
        Whether an active loop goes on, which goes before all other policies.
    is_interrupted : bool
        Whether the loop must not take the message as an answer.
    """

    action: str | None
    source: str = FALLBACK
    no_user: bool = False
    is_interrupted: bool = False


class RulePolicy(Policy):
    """Predicts by rules, and does not generalise.

    Parameters
    ----------
    core_fallback_threshold, core_fallback_action_name, enable_fallback_prediction
        If no rule fits, this action gets this score, unless the fallback is switched off.
    restrict_rules
        Whether a rule with more than one message of the user is an error.
    check_for_contradictions
        Whether rules that contradict one another, or stories, are an error; otherwise they are left out.
    use_nlu_confidence_as_score
        Whether the score of rules and loops is the confidence of the latest message's intent, instead of 1.0.
    listens_after_fallback
        Whether the bot listens after the fallback action, as with ``FallbackPolicy`` of Rasa 2. Without it, a fallback
        action that does not revert the message is chosen again and again.
    old_forms
        Whether the policy acts as ``FormPolicy`` of Rasa 2: it leaves the default intents to others, and a form gives
        way to triggers of intents, and goes on after a message, but not by itself after an interruption.
    """

    priority: int = 4
    HIGHEST_SCORE: ClassVar[float] = 1.0

    def __init__(
        self,
        core_fallback_threshold: float = 0.3,
        core_fallback_action_name: str = DEFAULT_FALLBACK,
        enable_fallback_prediction: bool = True,
        restrict_rules: bool = True,
        check_for_contradictions: bool = True,
        *,
        use_nlu_confidence_as_score: bool = False,
        listens_after_fallback: bool = False,
        old_forms: bool = False,
        priority: int | None = None,
    ) -> None:
        super().__init__(priority=priority)
        self.core_fallback_threshold = core_fallback_threshold
        self.core_fallback_action_name = core_fallback_action_name
        self.enable_fallback_prediction = enable_fallback_prediction
        self.restrict_rules = restrict_rules
        self.check_for_contradictions = check_for_contradictions
        self.use_nlu_confidence_as_score = use_nlu_confidence_as_score
        self.listens_after_fallback = listens_after_fallback
        self.old_forms = self.gives_way = old_forms
        self.table = RuleTable()
        self.interruptions = LoopInterruptions()
        self.in_stories: frozenset[str] = frozenset()

    @property
    def max_history(self) -> int:
        """The number of states in the longest rule."""
        return max(2, self.table.longest)

    # -- training

    def train(self, training_trackers: Trackers, domain: Domain, rules: Sequence[Rule] = (), **kwargs: Any) -> None:
        """Compile the `rules`, and compare them with each other and with the stories.

        Raises
        ------
        ModelError
            If a rule is invalid, or, with `check_for_contradictions`, contradicts another rule or a story.
        """
        if self.enable_fallback_prediction or self.core_fallback_action_name != DEFAULT_FALLBACK:
            domain.index_for_action(self.core_fallback_action_name)
        # Augmented conversations are left out, since a contradiction at the point where stories are joined is no
        # mistake.
        stories = [one for one in training_trackers if not getattr(one, "is_augmented", False)]
        compiler = Compiler(domain)
        compiled = [(rule, compiler.entries(rule)) for rule in rules]
        entries, problems = _merged([one for _, found in compiled for one in found])
        self.table = RuleTable(entries)
        self.interruptions = LoopInterruptions()
        for entry in entries:
            self.interruptions.learn(entry.key, entry.action)
        for tracker in stories:
            for states, action in turns_of(tracker):
                self.interruptions.learn(states, action, always=self.old_forms)
        used, contradicted = sources_in_stories(self, stories, domain)
        decided, wrong, contradictions = check_rules(self, rules, domain, restrict_rules=self.restrict_rules)
        # As in Rasa, turns are not hidden either if another rule always decides in the place of their rule.
        covered = {str(number) for number in range(len(entries))} - decided
        self.in_stories = frozenset(used | covered)
        if self.check_for_contradictions:
            wrong = [*problems, *wrong, *contradictions, *contradicted]
        if wrong:
            raise ModelError("\n".join(dict.fromkeys(wrong)))

    # -- prediction

    def predict_action_probabilities(self, tracker: DialogueStateTracker, domain: Domain) -> list[float]:
        """Return 1.0 for the action of a rule or loop, or the fallback's score for the fallback action."""
        return list(self.opinion(tracker, domain).scores)

    def opinion(self, tracker: DialogueStateTracker, domain: Domain) -> Opinion:  # noqa: D102
        decision = self.decide(tracker)
        scores = [0.0] * domain.num_actions
        if self.enable_fallback_prediction:
            scores[domain.action_indices[self.core_fallback_action_name]] = self.core_fallback_threshold
            if self.listens_after_fallback and tracker.latest_action_name == self.core_fallback_action_name:
                scores[domain.action_indices[ACTION_LISTEN_NAME]] = _BELOW_MEMORY
        if decision.action in domain.action_indices:
            sure = confidence_of_nlu(tracker) if self.use_nlu_confidence_as_score else 1.0
            scores[domain.action_indices[str(decision.action)]] = sure
        events: tuple[Event, ...] = (LoopInterrupted(True),) if decision.is_interrupted else ()
        return Opinion(scores, decision.no_user, self._is_hidden(decision, domain), events)

    @property
    def named_actions(self) -> dict[str, str]:  # noqa: D102
        name = self.core_fallback_action_name
        is_asked = self.enable_fallback_prediction or name != DEFAULT_FALLBACK
        return {"core_fallback_action_name": name} if is_asked else {}

    def is_beaten_by_fallback(self, action: str | None, domain: Domain) -> bool:
        """Tell whether the fallback goes before a rule's `action`: its score is equal, and the domain has it first."""
        if action is None or not self.enable_fallback_prediction or self.core_fallback_threshold < self.HIGHEST_SCORE:
            return False
        order = domain.action_indices
        return action in order and order[self.core_fallback_action_name] < order[action]

    def _is_hidden(self, decision: Decision, domain: Domain) -> bool:
        """Tell whether the turn is hidden from other policies, as no story has it; default loops are never hidden.

        Without the check for contradictions nothing is hidden, as in Rasa, where this check finds the turns of stories.
        """
        if not self.check_for_contradictions or decision.source in (FALLBACK, START):
            return False
        if decision.source in self.in_stories:
            return False
        forms = domain.rasa.forms if domain.rasa is not None else {}
        own = decision.source.split()[1:2]
        return not own or own[0] in forms or decision.action != own[0]

    def decide(self, tracker: DialogueStateTracker) -> Decision:
        """Return the decision of the rules, without the fallback."""
        latest, history = tracker.latest_action_name, tracker.history
        if not isinstance(history, RasaHistory):
            return Decision(None)
        if latest == ACTION_LISTEN_NAME and not self.old_forms:
            action = DEFAULT_ACTION_OF.get(str(tracker.latest_message.intent.get("name")))
            if action is not None and history.heard:
                return Decision(action, DEFAULT)
        loop = history.loop
        if loop is not None and self.old_forms and latest in (ACTION_LISTEN_NAME, loop.name):
            states = history.states_for_rules(tracker.active_state())
            if loop.rejected and self.interruptions.is_resumed(states, exactly=True):
                return Decision(None, is_interrupted=True)
            action = ACTION_LISTEN_NAME if latest == loop.name else loop.name
            return Decision(action, f"loop {loop.name} {action}")
        if loop is not None and not loop.rejected and not self.old_forms:
            action = ACTION_LISTEN_NAME if latest == loop.name else loop.name
            return Decision(action, f"loop {loop.name} {action}", no_user=True)
        return self._by_rules(history, tracker.active_state())

    def _by_rules(self, history: RasaHistory, present: State) -> Decision:
        states = history.states_for_rules(present)
        number = self.table.best(states, history.is_whole(len(states)))
        if number is None and self.table.knows_start and len(states) == 1 and not previous_of(tuple(present.items())):
            # As in Rasa, where such a rule also says that a conversation begins with ``action_listen``.
            return Decision(ACTION_LISTEN_NAME, START)
        entry = None if number is None else self.table.entries[number]
        decision = Decision(None if entry is None else entry.action, FALLBACK if number is None else str(number))
        if history.loop is None:
            return decision
        if entry is not None and entry.action == ACTION_LISTEN_NAME and not entry.asks_for_loop:
            # A rule ends with ``action_listen``; but inside a loop, the loop asks its question again.
            if not self.interruptions.is_left_alone(states):
                return decision._replace(action=history.loop.name)
            decision = decision._replace(action=None)
        is_interrupted = self.interruptions.is_resumed(states)
        return decision._replace(is_interrupted=is_interrupted)

    def training_turns(self, tracker: DialogueStateTracker, domain: Domain, limit: int = 5) -> TrainingTurns:
        """Return the places of the rule that decides."""
        decision = self.decide(tracker)
        if decision.source.isdecimal() and decision.action == self.table.entries[int(decision.source)].action:
            entry = self.table.entries[int(decision.source)]
            return TrainingTurns((TrainingTurn(entry.action, entry.places[:limit], len(entry.places[limit:]), 1),))
        if decision.action is None:
            return TrainingTurns(note="no rule fits.")
        if decision.source == DEFAULT:
            return TrainingTurns(note="every bot answers this intent so.")
        if decision.source == START:
            return TrainingTurns(note="nothing has been done yet, and a rule says how a conversation begins.")
        loop = decision.action if decision.source.isdecimal() else decision.source.split()[1]
        return TrainingTurns(note=f"the loop {loop} is going on.")

    # -- writing and reading

    def persist(self, path: str | Path) -> None:
        """Write the compiled rules."""
        names = (
            *("core_fallback_threshold", "core_fallback_action_name", "enable_fallback_prediction"),
            *("restrict_rules", "check_for_contradictions"),
        )
        content = {
            "format": FORMAT,
            "options": {name: getattr(self, name) for name in names} | self._added_options(),
            "entries": [entry.as_json() for entry in self.table.entries],
            "interruptions": self.interruptions.as_json(),
            "in_stories": sorted(self.in_stories),
        }
        Path(path, FILE_NAME).write_text(json.dumps(content), encoding="utf-8")

    def _added_options(self) -> dict[str, bool]:
        """Return the newer options, which are only written if they are set, so that other models keep their bytes."""
        names = ("listens_after_fallback", "old_forms", "use_nlu_confidence_as_score")
        return {name: True for name in names if getattr(self, name)}

    @classmethod
    def load(cls, path: str | Path) -> RulePolicy:
        """Read the rules from the folder `path`."""
        file = Path(path, FILE_NAME)
        with reading("the rules", file):
            content = json.loads(file.read_text(encoding="utf-8"))
            policy = cls(**content["options"])
            policy.table = RuleTable(map(Entry.from_json, content["entries"]))
            policy.interruptions = LoopInterruptions(*content["interruptions"])
            policy.in_stories = frozenset(content["in_stories"])
        return policy


def turns_of(tracker: DialogueStateTracker) -> Iterable[tuple[list[Asked], str]]:
    """Yield the states before each action of a story, and the action, except actions that are not to be learnt."""
    states = [tuple(state.items()) for state in tracker.last_states(None)]
    actions = [event for event in tracker.applied_events() if event.type_name == "action"]
    for number, action in enumerate(actions):
        if not getattr(action, "unpredictable", False):
            # Interruptions of loops only depend on two states.
            yield states[max(0, number - 1) : number + 1], getattr(action, "action_name", "")


def _merged(found: Sequence[tuple[Entry, Any]]) -> tuple[list[Entry], list[str]]:
    """Join equal entries; leave out entries that contradict one another, and return a line about each."""
    by_key: dict[Any, dict[str, list[str]]] = {}
    first: dict[Any, Entry] = {}
    for entry, place in found:
        key = (entry.key, entry.at_start)
        first.setdefault(key, entry)
        by_key.setdefault(key, {}).setdefault(entry.action, []).append(str(place))
    entries, problems = [], []
    for key, actions in by_key.items():
        if len(actions) == 1:
            action, places = next(iter(actions.items()))
            entries.append(replace(first[key], action=action, places=tuple(dict.fromkeys(places))))
        else:
            *others, (action, places) = actions.items()
            told = " and ".join(f"that at {', '.join(found)} says {other!r}" for other, found in others)
            text = f"rules contradict one another: this one says {action!r}, but {told}. Change one of them."
            problems.append(f"{places[0]}: {text}")
    return entries, problems


def follows_rules(policies: Iterable[Policy]) -> bool:
    """Tell whether any of the policies may follow rules; a custom policy counts as one that may."""
    return any(isinstance(one, RulePolicy) or not type(one).__module__.startswith("rasa_core.") for one in policies)


@dataclass(frozen=True, slots=True)
class Unfit:
    """A mismatch between a domain and the policies of a bot; without `policy`, a policy is missing."""

    policy: Policy | None
    option: str
    message: str
    hint: str = ""

    def told(self, name: str | None = None) -> str:
        """Return the mismatch as a sentence; `name` is the policy's name in the files, if it is another."""
        of = "" if self.policy is None else f", the {self.option}: of {name or type(self.policy).__name__}."
        return f"{self.message}{of}{self.hint}"


def unfit_policies(domain: Domain, policies: Sequence[Policy]) -> list[Unfit]:
    """Return the mismatches: parts of the domain that no policy handles, and names that the domain does not have."""
    found = []
    if domain.rasa is not None and domain.rasa.forms and not any(isinstance(one, RulePolicy) for one in policies):
        text = "the domain has forms, and only RulePolicy runs them: add it to policies: in config.yml."
        found.append(Unfit(None, "", text))
    for policy in policies:
        for kind, named, known in (
            ("action", policy.named_actions, domain.action_indices),
            ("intent", policy.named_intents, domain.intents),
        ):
            for option, name in named.items():
                if name not in known:
                    text = f"the domain has no {kind} {name!r}"
                    found.append(Unfit(policy, option, text, did_you_mean(name, known)))
    return found
