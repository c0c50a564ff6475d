"""A bot as a folder: a domain, stories, and the model that is trained from them when they have changed.

==================  ==========================================================================
what                the first of these that exists
==================  ==========================================================================
domain              ``domain.yml``
stories             ``stories.md``, ``stories/``, ``data/stories.md``, ``data/stories/``
model               ``models/dialogue`` (written by training)
==================  ==========================================================================
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rasa_core.agent import Agent
from rasa_core.domain import Domain
from rasa_core.exceptions import ModelError
from rasa_core.model import read_model, write_model
from rasa_core.policies.ensemble import MODEL_FORMAT, PolicyEnsemble
from rasa_core.policies.keras_policy import KerasPolicy
from rasa_core.policies.memoization import MemoizationPolicy
from rasa_core.version import __version__

Say = Callable[[str], object]

STORIES = ("stories.md", "stories", "data/stories.md", "data/stories")
FINGERPRINT = "training_input"


class Project:
    """A folder that holds a bot.

    Parameters
    ----------
    folder
        Path of the folder.

    Raises
    ------
    ModelError
        If the folder, its domain or its stories are missing.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise ModelError(f"the project folder {str(folder)!r} does not exist. It holds domain.yml and stories.md.")
        self.domain_file = self._find(("domain.yml",), "domain")
        self.stories = self._find(STORIES, "stories")
        self.model = self.folder / "models" / "dialogue"

    def _find(self, names: Sequence[str], what: str) -> Path:
        for name in names:
            if (self.folder / name).exists():
                return self.folder / name
        looked = ", ".join(str(self.folder / name) for name in names)
        raise ModelError(f"the project {str(self.folder)!r} has no {what}; looked for {looked}.")

    def fingerprint(self, domain: Domain) -> str:
        """Return a hash of everything that a model of this project depends on."""
        files = (
            sorted(path for path in self.stories.rglob("*") if path.is_file())
            if self.stories.is_dir()
            else [self.stories]
        )
        digest = hashlib.blake2b(digest_size=16)
        settings: list[Any] = [__version__, MODEL_FORMAT, domain.fingerprint()]
        digest.update(json.dumps(settings).encode())
        for path in files:
            content = path.read_bytes()
            digest.update(json.dumps([path.relative_to(self.folder).as_posix(), len(content)]).encode() + content)
        return digest.hexdigest()

    def is_current(self) -> bool:
        """Tell whether there is a model of exactly these files."""
        return self._state(Domain.load(self.domain_file)) == "current"

    def _state(self, domain: Domain) -> str:
        """Return ``current``, ``reworded`` (only what the bot says has changed), or ``changed``."""
        try:
            trained, _, metadata = read_model(self.model)
        except ModelError:
            return "changed"
        if metadata.get("fingerprints", {}).get(FINGERPRINT) != self.fingerprint(domain):
            return "changed"
        return "current" if trained.as_dict() == domain.as_dict() else "reworded"

    def train_if_changed(self, *, force: bool = False, say: Say = print) -> None:
        """Make sure that there is a model of these files, and say what is done.

        Raises
        ------
        RasaCoreError
            If the files are wrong, or what training needs is not installed.
        """
        domain = Domain.load(self.domain_file)
        say(
            f"{self.domain_file}: {len(domain.intents)} intents, {len(domain.entities)} entities, "
            f"{len(domain.slots)} slots, {domain.num_actions - len(domain.DEFAULT_ACTIONS)} actions"
        )
        state = "changed" if force else self._state(domain)
        if state == "current":
            say(f"{self.model}: the model is up to date")
        elif state == "reworded":
            self._reword(domain)
            say(f"{self.model}: only what the bot says has changed; the model has the new words without training")
        else:
            self._train(domain, say)

    def _reword(self, domain: Domain) -> None:
        _, ensemble, metadata = read_model(self.model)
        stories = (self.model / "stories.md").read_text(encoding="utf-8")
        write_model(self.model, domain, ensemble, stories, metadata["fingerprints"])

    def _train(self, domain: Domain, say: Say) -> None:
        fingerprint = self.fingerprint(domain)
        agent = Agent(domain, PolicyEnsemble([MemoizationPolicy(), KerasPolicy()]))
        started = time.perf_counter()
        trackers = agent.load_data(self.stories)
        own = sum(not getattr(tracker, "is_augmented", False) for tracker in trackers)
        say(f"{self.stories}: {own} stories, read in {time.perf_counter() - started:.1f} s")
        say("training MemoizationPolicy and KerasPolicy ...")
        started = time.perf_counter()
        agent.train(trackers)
        say(f"trained in {time.perf_counter() - started:.1f} s")
        agent.persist(self.model, {FINGERPRINT: fingerprint})
        say(f"{self.model}: the model is written")
