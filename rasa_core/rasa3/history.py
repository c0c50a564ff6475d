"""The history of a conversation that policies of Rasa 3 see, with some turns left out.

Turns in which a message answers a loop (a form) are left out, so that a story need not know how many questions a form
asks. Turns that only rules decide are hidden from all policies except the rule policy, so that a story goes on after
them. Both views, with and without hidden turns, are updated with each event, and their size is bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from rasa_core.events import ACTION_LISTEN_NAME, Event, ReminderScheduled
from rasa_core.events.rasa3 import ActionExecutionRejected as Rejected
from rasa_core.events.rasa3 import (
    ActiveLoop,
    CallerAction,
    EntitiesAdded,
    LoopInterrupted,
    ReminderCancelled,
    entities_in,
)
from rasa_core.history import FAILED, SLOTS_KEPT, History, RasaVocabulary, State, Understood, Vocabulary
from rasa_core.rasa3.held_states import States
from rasa_core.slots import Slot
from rasa_core.support.moments import moment_in
from rasa_core.support.strict_json import independent

LISTENED: Final = f"prev_{ACTION_LISTEN_NAME}"
LOOP_PREFIX: Final = "active_loop_"
NOT_UNDERSTOOD: Final = "intent_"  # The feature of a message without intent and entities before any action.
EARLIER: Final = "~"  # The prefix of slots that were set after the last message that is shown, but not just now.
POSITION: Final = f"{EARLIER}@"
"""The key, among the fresh slots, of the number of actions before the message that is shown."""
MOST_REMINDERS: Final = 50  # They are in the head of a conversation, which must not grow with it.
_MOST_LISTENS: Final = 100  # Where all states are kept; no memory looks back over more.
_GRACE: Final = 1.0
"""Seconds by which a reminder may be late when it is set: its time is kept to the second."""
VALIDATION: Final = "validate_"  # The action that validates the answers to a form has this before the form's name.


@dataclass(slots=True)
class Loop:
    """An active loop.

    Attributes
    ----------
    name : str
        The name of its action.
    is_interrupted : bool
        Whether the next message is not an answer to the loop.
    rejected : bool
        Whether the loop rejected its execution for the latest message.
    trigger_intent : str or None
        The intent of the message that began the loop.
    trigger_message : dict or None
        The parse data of that message.
    """

    name: str
    is_interrupted: bool = False
    rejected: bool = False
    trigger_intent: str | None = None
    trigger_message: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the attributes as a dict."""
        return {name: getattr(self, name) for name in self.__slots__}


_SEEN: Final = (
    *("user", "shown_user", "shown_action", "was_hidden", "loop_ran", "heard", "marked", "rejected", "fresh_slots"),
    *("hidden_slots", "due", "validated", "reminders", "acting", "acted", "shown_at", "listens", "set_at"),
)

_seen_of: Final = attrgetter(*_SEEN)
_NO_SLOTS: Final = (LISTENED, POSITION)


class RasaHistory(History):
    """A history with both views.

    Attributes
    ----------
    loop : Loop or None
        The active loop.
    rejected : str or None
        The action that rejected its execution, if no action has run since then.
    due : list of str
        Parts of the current action that the caller has to run first.
    validated : str or None
        The form whose answer the caller has validated.
    reminders : dict of str to dict
        The pending reminders, by name, as JSON of their events. Sessions and rewinds do not remove them.
    acted, shown_at, listens, set_at : int, int, list of int, dict of str to int
        Counts of actions: of all actions; of those before the message in the visible state; of those at each recent
        ``action_listen``; and of those when each slot that policies see was last set.
    acting : dict or None
        The reminder whose turn is not over yet.
    user : State
        The features of the latest message; after a turn that a loop handled, those of the turn before it.
    """

    __slots__ = ("_all", "_fresh", "_visible", "loop", "loops", *_SEEN)

    parts = (*History.parts, "seen", "loop", "all", "visible", "fresh")

    vocabulary: RasaVocabulary

    def clear(self) -> None:  # noqa: D102
        super().clear()
        self.loops = self.vocabulary.loops
        self._all, self._visible, self._fresh = (States(self.window) for _ in range(3))
        self.loop: Loop | None = None
        self.user: State = {}
        self.shown_user: State = {}
        self.shown_action: str | None = None
        self.was_hidden = False
        self.loop_ran: str | None = None
        self.heard = False
        self.rejected: str | None = None
        self.marked: list[Any] = []
        self.fresh_slots: list[str] = []
        self.hidden_slots: list[str] = []
        self.acted, self.shown_at, self.listens, self.set_at = 0, 0, list[int](), dict[str, int]()
        self.reminders: dict[str, Any] = getattr(self, "reminders", {})  # Sessions and rewinds clear all else.
        self.acting: dict[str, Any] | None = None
        self.validated: str | None = None
        self._forget_parts()

    # -- what happens

    def record_message(self, message: Understood) -> None:  # noqa: D102
        super().record_message(message)
        self.user = self.vocabulary.features_of(message)
        self.heard = True
        self._forget_parts()
        self.acting = None
        if self.reminders:
            self._forget_reminders_at(message)

    def _forget_reminders_at(self, message: Any) -> None:
        """Remove the reminders that a user message cancels, or the reminder that acts with the message."""
        if not (message.metadata or {}).get("is_external"):
            left = {name: one for name, one in self.reminders.items() if not one.get("kill_on_user_msg", True)}
            self.reminders = left
            return
        said = message.intent.get("name"), entities_in(message.entities)
        # An intent may have been triggered by somebody else, too: only one that is due can be the one that acts.
        for name, one in sorted(self.reminders.items(), key=lambda item: _moment_of(item[1])):
            is_due = _moment_of(one) <= message.timestamp
            if is_due and (one.get("intent"), entities_in(one.get("entities"))) == said:
                self.acting = one
                self.reminders = {other: kept for other, kept in self.reminders.items() if other != name}
                return

    def go_on_with(self, reminders: dict[str, Any]) -> None:  # noqa: D102
        self.reminders, self.rejected = reminders, None

    def _forget_parts(self) -> None:
        self.due, self.validated = list[str](), None

    def record_slot(self, name: str, value: Any) -> None:  # noqa: D102
        super().record_slot(name, value)
        self._note_as_fresh(name)

    def _note_as_fresh(self, name: str) -> None:
        self.set_at = {**self.set_at, name: self.acted}
        self.fresh_slots = [*(known for known in self.fresh_slots if known != name), name][-SLOTS_KEPT:]

    def record_action(  # noqa: D102
        self, state: State, action_name: str, *, is_hidden: bool = False, is_followup: bool = False
    ) -> None:
        name = action_name
        super().record_action({}, name)
        self.acted += 1
        self.rejected = None
        self.states.clear()  # Those of the base class, in whose place both views stand.
        self.news.clear()
        if self.heard and name != self.loop_ran:  # The message was answered by something else than the loop.
            self._go_on()
        self.heard = False
        if name in self.vocabulary.loops and name == self.loop_ran:  # It got its answer, and asks for the next.
            self._forget_handled_turn()
        else:
            self._all.add(state)
            if LISTENED in state:  # As many as there may be in the window, and the one before that.
                self.listens = [*self.listens[-(self.window or _MOST_LISTENS) :], self.acted - 1]
            self._show(state, is_hidden, is_followup)
            if name in self.vocabulary.loops:
                self._mark(name)
        self._forget_parts()
        if name == ACTION_LISTEN_NAME:
            self.acting = None
        if self.loop is not None:
            self.loop.is_interrupted = False
            self.loop.rejected = self.loop.rejected and self.loop.name != name

    def _show(self, state: State, hidden: bool, is_followup: bool) -> None:
        """Add a state to the visible ones, which policies other than the rule policy see, unless its turn is hidden."""
        if not self.was_hidden:
            self.shown_action = _previous(state)
        if not is_followup and not self._repeats_loop(state):
            self.was_hidden = hidden
        if not self.was_hidden:
            shown = self._as_shown(state, self.shown_action)
            self.shown_user = user_part(shown)
            self._visible.add(shown)
            if LISTENED in state:
                self.shown_at = self.acted - 1
            # With the mark of a message that is shown, or else what was set since that, earlier than the last action.
            earlier = {LISTENED: 1.0} if LISTENED in state else self._set_earlier()
            self._fresh.add(self._freshly_set() | earlier | {POSITION: self.shown_at})
            self.hidden_slots = []
        else:
            self.hidden_slots = list(dict.fromkeys([*self.hidden_slots, *self.fresh_slots]))[-SLOTS_KEPT:]
        self.fresh_slots = []

    def _freshly_set(self) -> State:
        """Return the slots that were set since the last visible action, with 1.0 if set since the last action."""
        return dict.fromkeys(self.hidden_slots, 0.0) | dict.fromkeys(self.fresh_slots, 1.0)

    def _set_earlier(self) -> State:
        last = self._fresh.all()[-1:]
        marks = [(name, mark) for names in last for name, mark in names.items() if name not in _NO_SLOTS]
        return {EARLIER + name.removeprefix(EARLIER): mark for name, mark in marks}

    def _repeats_loop(self, state: State) -> bool:
        return self.loop is not None and _previous(state) == self.loop.name

    def _as_shown(self, state: State, action: str | None) -> State:
        listened = LISTENED in state
        # A message that a hidden turn answered is not shown with the action that comes after that turn.
        shown = dict(user_part(state) if listened or not self._visible.total else self.shown_user)
        shown.update({name: value for name, value in state.items() if name.startswith(("slot_", LOOP_PREFIX))})
        if action is not None:
            shown[f"prev_{action}"] = 1.0
            if FAILED in state and action == _previous(state):
                shown[FAILED] = 1.0
        return shown

    def _mark(self, loop: str) -> None:
        self.loop_ran = loop
        counts = self.acted, self.shown_at, self.listens
        self.marked = [self.user, self.shown_user, self.shown_action, self.was_hidden, *counts]
        for states in (self._all, self._visible, self._fresh):
            states.hold()

    def _forget_handled_turn(self) -> None:
        self.user, self.shown_user, self.shown_action, self.was_hidden, *counts = self.marked
        for name, count in zip(("acted", "shown_at", "listens"), counts, strict=False):  # A head of before lacks them.
            setattr(self, name, count)
        for name in [name for names in self._fresh.held for name in names if name != LISTENED and EARLIER not in name]:
            self._note_as_fresh(name)  # What was set in the turn stays so.
        for states in (self._all, self._visible, self._fresh):
            states.drop()

    def _go_on(self) -> None:
        """Keep all states since the loop ran, because no answer to it follows."""
        self.loop_ran = None
        for states in (self._all, self._visible, self._fresh):
            states.release()

    def record_other(self, event: Event, message: Understood | None = None) -> None:
        """Record the beginning, interruption, rejection, parts and end of loops."""
        if isinstance(event, CallerAction):
            self._record_part(event)
        elif isinstance(event, ReminderScheduled) and event.intent is not None:
            if event.trigger_date_time.timestamp() + _GRACE < event.timestamp:
                return  # It is for a time that had passed.
            kept = {name: one for name, one in self.reminders.items() if name != event.name}
            self.reminders = dict([*kept.items(), (event.name, event.as_dict())][-MOST_REMINDERS:])
        elif isinstance(event, ReminderCancelled):
            self.reminders = {name: one for name, one in self.reminders.items() if not event.cancels(one)}
        elif isinstance(event, ActiveLoop):
            self._note_as_fresh(LOOP_PREFIX)
            self.loop = None if event.loop_name is None else self._loop_begun(event.loop_name, message)
            if event.loop_name is None:
                self._go_on()
        elif isinstance(event, EntitiesAdded) and message is not None:
            self.user = self.vocabulary.features_of(message)
        elif self.loop is not None and isinstance(event, LoopInterrupted):
            self.loop.is_interrupted = event.is_interrupted
        elif isinstance(event, Rejected):
            self.rejected = event.action_name
            self._forget_parts()
            if self.loop is not None and self.loop.name == event.action_name:
                self.loop.rejected = True
            if event.action_name == self.loop_ran:
                self._go_on()

    def _loop_begun(self, name: str, message: Understood | None) -> Loop:
        # A copy, since it is kept for longer than what callers gave with the message.
        said = None if message is None or message.parse_data["text"] is None else independent(message.parse_data)
        return Loop(name, trigger_intent=self.intent_name, trigger_message=said)

    def _record_part(self, event: CallerAction) -> None:
        name, form = event.action_name, event.action_name.removeprefix(VALIDATION)
        if not event.is_done:
            self.due = [*self.due, name]
            return
        self.due = [due for due in self.due if due != name]
        if form != name and form in self.vocabulary.loops:
            self.validated = form

    @property
    def intent_name(self) -> str | None:
        """The intent of the latest message, in the domain or not."""
        return next((name[7:] for name in self.user if name.startswith("intent_")), None)

    # -- what is seen

    def present_state(self, message: Understood, slots: Iterable[Slot], action_name: str | None) -> State:  # noqa: D102
        state = dict(self.user)
        if not state and self.heard and action_name is None:  # Else it would look like the beginning of a story.
            state[NOT_UNDERSTOOD] = 1.0
        for slot in slots:
            for index, feature in enumerate(slot.as_feature() if slot.value is not None else ()):
                if feature:
                    state[f"slot_{slot.name}_{index}"] = float(feature)
        if action_name is not None:
            state[f"prev_{action_name}"] = 1.0
        if self.loop is not None:
            state[LOOP_PREFIX + self.loop.name] = 1.0
        return state

    def recorded_states(self) -> list[State]:  # noqa: D102
        return self._visible.all()

    def visible(self, state: State, *, is_followup: bool = False) -> list[State]:
        """Return the states that policies other than the rule policy see now; an empty list in a hidden turn."""
        action = self.shown_action if self.was_hidden else _previous(state)
        if self.was_hidden and (is_followup or self._repeats_loop(state)):
            return []
        return [self._as_shown(state, action)]

    def slots_set_before(self, count: int) -> Sequence[State]:  # noqa: D102
        # A message that is new is shown with what was set since the last action alone.
        earlier = {POSITION: self.acted} if self.heard else {**self._set_earlier(), POSITION: self.shown_at}
        return [*self._fresh.all(), self._freshly_set() | earlier][-count:]

    def states_for_rules(self, state: State) -> list[State]:
        """Return the last states, including those of hidden turns, the current one last."""
        return [*self._all.all(), state]

    def actions_before(self, state: State) -> list[str]:
        """Return the latest actions but ``action_listen``, the latest last, without turns that a loop handled."""
        names = (_previous(one) for one in self.states_for_rules(state))
        return [name for name in names if name not in (None, ACTION_LISTEN_NAME)]

    def is_whole(self, count: int) -> bool:
        """Tell whether `states_for_rules`, `count` states, begin at the start of the conversation."""
        return count == self._all.total + 1

    def reaches(self, count: int | None) -> bool:  # noqa: D102
        found = len(self._visible.all())
        return found == self._visible.total or (count is not None and count <= found)

    # -- kept

    def content(self) -> list[Any]:  # noqa: D102
        seen = dict(zip(_SEEN, _seen_of(self), strict=True))
        loop = None if self.loop is None else self.loop.as_dict()
        return [*super().content(), seen, loop, *(one.snapshot() for one in (self._all, self._visible, self._fresh))]

    def restore(self, snapshot: Mapping[str, Any]) -> None:  # noqa: D102
        super().restore(snapshot)
        for name in _SEEN:  # A head that an earlier version has stored lacks what came since.
            setattr(self, name, snapshot["seen"].get(name, getattr(self, name)))
        self.shown_at = snapshot["seen"].get("shown_at", self.acted)  # Else what is shown would count as too old.
        self.loop = None if snapshot["loop"] is None else Loop(**snapshot["loop"])
        self._all.restore(snapshot["all"])
        self._visible.restore(snapshot["visible"])
        self._fresh.restore(snapshot["fresh"])

    def copy(self) -> RasaHistory:  # noqa: D102
        twin = RasaHistory(self.window, self.vocabulary)
        twin.restore(self.snapshot())
        return twin


def _moment_of(reminder: Mapping[str, Any]) -> float:
    return moment_in(reminder["date_time"]).timestamp()


def user_part(state: State) -> State:
    """Return the features of the message in a state."""
    return {name: value for name, value in state.items() if name.startswith(("intent_", "entity_"))}


def _previous(state: State) -> str | None:
    return next((name[5:] for name in state if name.startswith("prev_")), None)


def history_for(window: int | None, vocabulary: Vocabulary | None) -> History:
    """Return an empty history of the kind that fits a domain."""
    kind = RasaHistory if isinstance(vocabulary, RasaVocabulary) else History
    return kind(window, vocabulary)
