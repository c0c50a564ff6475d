"""What is measured by stories: something that predicts the next action of a conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from rasa_core.events.rasa3 import ActionExecutionRejected
from rasa_core.rasa3.history import RasaHistory
from rasa_core.trackers import DialogueStateTracker

if TYPE_CHECKING:
    from rasa_core.domain import Domain
    from rasa_core.policies.policy import Prediction


class Policies(Protocol):
    """What decides: a `PolicyEnsemble`, or something like it."""

    @property
    def window(self) -> int:
        """How many states a conversation has to keep for the next prediction."""

    @property
    def longest_history(self) -> int | None:
        """How many of the last states any policy looks at; None if one looks at all."""


class Predictor(Protocol):
    """What is measured: an `Agent`, or something like it. Its conversations are left alone."""

    @property
    def domain(self) -> Domain:
        """What it can do."""

    @property
    def policy_ensemble(self) -> Policies:
        """What decides."""

    def predict(self, tracker: DialogueStateTracker) -> Prediction:
        """Return the next action of a conversation, and change nothing."""


def predicted(bot: Predictor, told: DialogueStateTracker, expected: str) -> Prediction:
    """Return what a bot does next in a conversation whose story says what is `expected`.

    A story may leave a form for other talk. The form has refused the message then, which only running it would tell:
    if the bot would go on with the form, the refusal is noted in the conversation, and the bot is asked again.
    """
    found = bot.predict(told)
    loop = told.history.loop if isinstance(told.history, RasaHistory) else None
    forms = bot.domain.rasa.forms if bot.domain.rasa is not None else {}
    if found.action != expected and loop is not None and loop.name == found.action and loop.name in forms:
        told.update(ActionExecutionRejected(loop.name))
        found = bot.predict(told)
    return found
