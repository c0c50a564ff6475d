"""A bot as a folder: a domain, stories, NLU data, and the models that are trained from them when they have changed.

==================  ==========================================================================
what                where
==================  ==========================================================================
domain              ``domain.yml``; without it, the only file in the folder and below that
                    holds a domain, whatever its name
stories             the first of ``stories.md``, ``stories/``, ``data/stories.md``,
                    ``data/stories/`` that exists; without them, all files in the folder and
                    below that hold stories
NLU data            all files of it in the folder itself, such as ``nlu.md``, and in ``data/``
                    and ``nlu/`` and below; there may be none
models              ``models/dialogue`` and ``models/nlu`` (written by training) lead to the current one
                    of the versions in ``models``, where ``features.npz`` is for the next training
settings            ``config.yml``: policies, pipeline, imports; there may be none
==================  ==========================================================================

A bot of Rasa 2 or 3 is recognised by its layout: see `rasa_core.rasa_project.files`.

A folder with only NLU data is a bot that only interprets messages: its domain has the intents and entities of the data,
and no policies are trained.

The search for files by their content leaves out models, tests and virtual environments. Each model is trained again
only if its files have changed.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rasa_core.agent import Agent
from rasa_core.checks.checks import refuse_unusable
from rasa_core.checks.nlu import Finding, check_domain_names, check_training_data
from rasa_core.checks.responses import intents_of_buttons
from rasa_core.domain import Domain
from rasa_core.exceptions import ModelError, counted
from rasa_core.model_folder import fingerprint_of_files, read_model, write_model
from rasa_core.nlu.pipeline import PipelineConfig, Step, chosen_pipeline, keys_of, stored_steps
from rasa_core.nlu.reading import read_training_data
from rasa_core.nlu.training_data import TrainingData
from rasa_core.policies.configured import ConfiguredPolicies, configured_policies
from rasa_core.policies.ensemble import MODEL_FORMAT
from rasa_core.policies.fallback import FallbackPolicy
from rasa_core.policies.features.history import HistoryFeaturizer
from rasa_core.policies.keras_policy import KerasPolicy
from rasa_core.project.layout import find_domain, find_nlu_data, find_stories, names_in, only_understands, told_unread
from rasa_core.project.layout import unread_stories as unread_stories_of
from rasa_core.project.models import DIALOGUE, FINGERPRINT, NLU, Figures, ProjectModels, hashes_of
from rasa_core.project.training import (
    NLUState,
    Say,
    bring_up_nlu,
    calibration_of,
    first_findings,
    nlu_state_of,
    set_thresholds,
    told_fallback,
    train_dialogue,
)
from rasa_core.rasa3.domain_parts import RASA_DEFAULT_INTENTS
from rasa_core.rasa3.endpoints import Endpoints, read_endpoints
from rasa_core.rasa_project.config import RasaConfig, read_rasa_config, written_policies
from rasa_core.rasa_project.files import RasaFiles, is_rasa
from rasa_core.rasa_project.training import train_rasa_project
from rasa_core.stories.files import holds_stories, story_files
from rasa_core.support.folders import check_writable, files_below
from rasa_core.support.problems import told
from rasa_core.version import __version__

logger = logging.getLogger(__name__)

DialogueState = Literal["current", "adapted", "changed"]


class Project:
    """A folder that holds a bot.

    Attributes
    ----------
    rasa : RasaFiles or None
        The files of a bot of Rasa 2 or 3; None for one of 0.9.

    Parameters
    ----------
    domain, stories
        The domain file, and the file or folder of stories, if they are not the ones that a search would find.

    Raises
    ------
    ModelError
        If the folder, its domain or its stories are missing, or there are several domains.
    """

    def __init__(self, folder: str | Path, domain: str | Path | None = None, stories: str | Path | None = None) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            is_file = "is a file, not a folder" if self.folder.exists() else "does not exist"
            raise ModelError(
                f"the project folder {str(folder)!r} {is_file}. Give the folder in which domain.yml stands."
            )
        is_given = (domain is not None or stories is not None) and not self._names_its_own(domain, stories)
        is_of_rasa = not is_given and (is_rasa(self.folder) or only_understands(self.folder))
        self.rasa = RasaFiles(self.folder) if is_of_rasa else None
        if self.rasa is not None:
            found = [*self.rasa.story_files, *self.rasa.markdown_files]
            if not found:
                self.rasa.names, self.rasa.named_in = names_in(self.nlu_data()), self.nlu_files
            self.domain_file = self.rasa.first_domain_file()
            self.stories: Path | list[Path] = found
        else:
            self.domain_file = self._given(domain, "domain") or find_domain(self.folder)
            self.stories = self._given(stories, "stories") or find_stories(self.folder)
        self._finds_stories = self.rasa is None and stories is None
        self.models = ProjectModels(self.folder / "models")
        self.model, self.nlu_model = self.models.dialogue, self.models.nlu
        self.features = self.folder / "models" / "features.npz"

    def _names_its_own(self, domain: str | Path | None, stories: str | Path | None) -> bool:
        """Tell whether the given paths are those that a bot of Rasa has anyway, as its users give them from habit."""
        told = self._given(domain, "domain"), self._given(stories, "stories")
        return is_rasa(self.folder) and RasaFiles(self.folder).has_all(*told)

    def _given(self, path: str | Path | None, what: str) -> Path | None:
        """Return a given path, relative to the current folder or to the project."""
        if path is None:
            return None
        for found in (Path(path), self.folder / path):
            if found.exists():
                return found
        kind = "domain file" if what == "domain" else "file or folder of stories"
        raise ModelError(f"there is no {kind} {str(path)!r}, neither here nor in the project {str(self.folder)!r}.")

    @property
    def test_files(self) -> list[Path]:
        """The files of stories in ``tests/``, from which the bot does not learn."""
        if self.rasa is not None:
            for path in self.rasa.unread_tests:
                logger.warning("%s: test stories in Markdown are not read; write them in YAML.", path)
            return self.rasa.test_files
        tests = self.folder / "tests"
        return [path for path in (files_below(tests) if tests.is_dir() else ()) if holds_stories(path)]

    @property
    def story_files(self) -> list[Path]:
        """The files of stories, in the order in which they are read."""
        return story_files(self.stories)

    @property
    def unread_stories(self) -> list[Path]:
        """The files with stories that are not read, because other files were found first and no path was given."""
        return unread_stories_of(self.folder, self.stories) if self._finds_stories else []

    @property
    def nlu_files(self) -> list[Path]:
        """The files of NLU data, in the order in which they are read; empty if another interpreter is used."""
        return find_nlu_data(self.folder)

    @property
    def interpreter(self) -> Path | None:
        """The directory of the NLU model of the bot; None if it has no own one."""
        return self.nlu_model if self.nlu_files and self.nlu_model.is_dir() else None

    def nlu_data(self) -> TrainingData:
        """Return the NLU data in `nlu_files`.

        Raises
        ------
        NLUDataError
            If the data have a mistake; the message begins with file and line.
        """
        return TrainingData.joined(read_training_data(file) for file in self.nlu_files)

    def load_domain(self) -> Domain:
        """Return the domain; raise `DomainError` if it has a mistake."""
        return Domain.load(self.domain_file) if self.rasa is None else self.rasa.domain

    def endpoints(self) -> Endpoints:
        """Return the settings of other servers; `read_endpoints` lists the errors."""
        return Endpoints() if self.rasa is None else read_endpoints(self.folder)

    @property
    def has_open_rest_channel(self) -> bool:
        """Tell whether credentials.yml lists the REST channel, which then needs no token, as in Rasa."""
        return self.rasa is not None and "rest" in self.rasa.channels

    def fingerprint(self, domain: Domain) -> str:
        """Return a hash of all input of the dialogue model of this project."""
        settings: list[object] = [__version__, MODEL_FORMAT, domain.fingerprint()]  # Other versions learn otherwise.
        file = self.folder / "config.yml" if self.rasa is None else self.rasa.config_file
        settings.append(written_policies(file) or (self.rasa is None and "with a fallback"))
        return fingerprint_of_files(self.story_files, self.folder, settings)

    def is_current(self) -> bool:
        """Tell whether there are models of exactly these files."""
        return self.dialogue_is_current() and self.nlu_is_current()

    def dialogue_is_current(self) -> bool:
        """Tell whether there is a dialogue model of exactly this domain and these stories."""
        return self._state(self.load_domain(), self.policies()) == "current"

    def nlu_is_current(self) -> bool:
        """Tell whether there is an interpreter of exactly this NLU data, or none is needed."""
        data = self.nlu_data()
        return self._nlu_state(data, self._steps(data, True)) == "current"

    def _nlu_state(self, data: TrainingData, steps: list[Step] | None) -> NLUState:
        """Return the state of the NLU model; ``changed`` also if it is the project's and its data are gone."""
        if not data.intents:
            return "changed" if self.models.has_own_nlu() else "current"
        return nlu_state_of(self.nlu_model, data, steps)

    def policies(self) -> ConfiguredPolicies | None:
        """Return the policies in config.yml; None for a bot of Rasa 2 or 3, whose file `read_rasa_config` reads."""
        return None if self.rasa is not None else configured_policies(keys_of(self.folder / "config.yml"), network_of)

    def _state(self, domain: Domain, config: ConfiguredPolicies | None, nlu: bool = True) -> DialogueState:
        """Return ``current``, ``adapted`` (only templates or thresholds have changed), or ``changed``."""
        try:
            trained, ensemble, metadata, *_ = read_model(self.model)
        except ModelError:
            return "changed"
        if metadata.get("fingerprints", {}).get(FINGERPRINT) != self.fingerprint(domain):
            return "changed"
        # Thresholds are chosen for the interpreter of the project; whoever brings another leaves them as they are.
        is_chosen = config is None or not nlu or not set_thresholds(config, ensemble, self.interpreter)
        if trained.as_dict() == domain.as_dict() and is_chosen:
            return "current"
        return "adapted" if (self.model / "stories.md").is_file() else "changed"

    def pipeline(self, ignores_own: bool = False) -> PipelineConfig | None:
        """Return the pipeline in config.yml, or the one that Rasa would choose for it; None without a pipeline."""
        return chosen_pipeline(self.folder / "config.yml", is_of_rasa=self.rasa is not None, ignores_own=ignores_own)

    def _steps(self, data: TrainingData, ignores_own: bool) -> list[Step] | None:
        return stored_steps(self.pipeline(ignores_own), data)

    def train_if_changed(
        self,
        *,
        force: bool = False,
        nlu: bool = True,
        say: Say = print,
        lenient: bool = False,
        ignore_components: bool = False,
    ) -> None:
        """Train models of the current files if there are none, and print the steps.

        Parameters
        ----------
        force
            Whether to train even if nothing has changed.
        nlu
            Whether to train an NLU model from the NLU data of the project, if there are any.
        lenient
            Whether to train even if parts of the stories cannot be used.
        ignore_components
            Whether to train even if config.yml names unknown policies and components.

        Raises
        ------
        RasaCoreError
            If the files have mistakes, the extra for training is missing, or another model is in the place of the new
            one.
        """
        domain, config = self.load_domain(), self.policies()
        say(f"{self.domain_file}: {_told_of(domain)}")
        for path in self.unread_stories:
            say(f"{path}: warning: {told_unread(self.stories)}")
        data = self.nlu_data() if nlu else TrainingData()
        steps = self._steps(data, ignore_components)
        rasa = None
        if self.rasa is not None:
            rasa = read_rasa_config(self.rasa.config_file, network_of, ignores_own=ignore_components)
        state: DialogueState = "changed" if force else self._state(domain, config, nlu)
        nlu_state: NLUState = "current" if not nlu else self._nlu_state(data, steps)
        if force and data.intents:
            nlu_state = "changed"
        if state == nlu_state == "current":  # Not a new version at each start of a server.
            say(f"{self.model}: the model is up to date")
            if data.intents:
                say(f"{self.nlu_model}: the interpreter of typed text is up to date")
        else:
            check_writable(self.model.parent)  # All that can fail at once, before minutes of training.
            self.models.check_own(replaces_nlu=nlu_state == "changed")
            if config is not None:
                config.choose_action(domain.action_names)  # Before the interpreter is trained, if it is wrong.
            if state == "changed" and self.rasa is None and not lenient:
                refuse_unusable(domain, self.stories, str(self.domain_file))
            if force:  # With force, the caches of the previous training are not used either.
                self.features.unlink(missing_ok=True)
            self.models.adopt()
            job = _Job(self, domain, data, config, rasa, say, nlu, lenient)
            name = self.models.add(lambda folder: job.run(folder, state, nlu_state, steps), self._hashes())
            say(f"{self.model}: the model is written, as the version {name}")
        if nlu and not data.intents and (data.lookups or data.regexes or data.synonyms):
            say("the NLU data has no examples of intents: there is no interpreter of typed text")

    def _hashes(self) -> dict[str, str]:
        files = {*self.story_files, *self.nlu_files, self.folder / "config.yml"}
        files |= {self.domain_file} if self.rasa is None else {*self.rasa.domain_files}
        return hashes_of(filter(Path.is_file, files), self.folder)


@dataclass(frozen=True, slots=True)
class _Job:
    """One training of a project, into a folder that becomes a version."""

    project: Project
    domain: Domain
    data: TrainingData
    config: ConfiguredPolicies | None
    rasa: RasaConfig | None
    say: Say
    nlu: bool
    lenient: bool

    def run(self, folder: Path, state: DialogueState, nlu_state: NLUState, steps: list[Step] | None) -> Figures:
        """Train the copies of the models in a folder that are not current, and return figures."""
        project, model, nlu_model = self.project, folder / DIALOGUE, folder / NLU

        def say(line: str) -> None:  # The folder is temporary; the line names the final place of the model.
            self.say(line.replace(str(folder), str(project.model.parent)))

        for line in self._told_of_nlu(nlu_state) if self.data.intents else ():
            say(line)
        # First, since the fallback of the dialogue model has a threshold for this interpreter.
        if self.data.intents:
            bring_up_nlu(nlu_model, self.data, steps, nlu_state, say)
        elif self.nlu:
            shutil.rmtree(nlu_model, ignore_errors=True)
        prints = {FINGERPRINT: project.fingerprint(self.domain)}
        if state == "changed" and project.rasa is not None and self.rasa is not None:
            train_rasa_project(project.rasa, self.rasa, model, prints, say, make_agent=Agent, lenient=self.lenient)
        elif state == "changed" and self.config is not None:
            agent, files = Agent(self.domain, self.config.policies), (project.stories, self.config, model)
            train_dialogue(agent, *files, project.features, prints, say, lenient=self.lenient)
        self._adapt(model, nlu_model if self.data.intents else None, say, chooses=self.nlu or state == "changed")
        return self._figures(model)

    def _adapt(self, model: Path, nlu_model: Path | None, say: Say, *, chooses: bool) -> None:
        """Give a model the current templates, and its fallback the chosen thresholds."""
        # A model that was not trained now has the words of an older domain, and thresholds for an older interpreter.
        trained, ensemble, metadata, stories, _ = read_model(model)
        is_chosen = chooses and self.config is not None and set_thresholds(self.config, ensemble, nlu_model)
        if is_chosen or trained.as_dict() != self.domain.as_dict():
            write_model(model, self.domain, ensemble, stories, metadata["fingerprints"])
        if trained.as_dict() != self.domain.as_dict():
            say(f"{model}: only what the bot says has changed; the model has the new words without training")
        for line in told_fallback(ensemble):
            say(line)

    def _figures(self, model: Path) -> Figures:
        _, ensemble, _, stories, _ = read_model(model)
        found = {"stories": float(sum(line.startswith("## ") for line in stories.splitlines()))}
        found["messages"] = float(len(self.data.examples))
        calibration = calibration_of(ensemble.policies)
        found |= {name: calibration[name] for name in ("accuracy", "calibration_error") if name in calibration}
        for policy in ensemble.policies:
            if isinstance(policy, FallbackPolicy):
                found |= {"nlu_threshold": policy.nlu_threshold, "core_threshold": policy.core_threshold}
        return found

    def _told_of_nlu(self, state: NLUState) -> Iterator[str]:
        project, data = self.project, self.data
        if state != "current":
            yield from told(() if (found := project.pipeline(True)) is None else found.notes)
        if state == "changed":
            files, count = ", ".join(map(str, project.nlu_files)), len(data.examples)
            kinds = f"{counted(len(data.intents), 'intent')}, {counted(len(data.entities), 'entity')}"
            yield f"{files}: {counted(count, 'message')} of {kinds}"
            yield from first_findings(self._nlu_findings(), project.folder)

    def _nlu_findings(self) -> list[Finding]:
        data, domain = self.data, self.domain
        given = {domain.restart_intent} if domain.rasa is None else set(RASA_DEFAULT_INTENTS)  # No examples needed.
        given |= intents_of_buttons(domain.templates)
        name = str(self.project.domain_file)
        named = check_domain_names(data, domain.intents, domain.entities, name, needless=given)
        return [*named, *check_training_data(data)]


def _told_of(domain: Domain) -> str:
    """Return the numbers of names in a domain as text; names that every bot has do not count."""
    intents, entities, slots = len(domain.intents), len(domain.entities), len(domain.slots)
    if domain.rasa is not None:
        intents, entities, slots = (len(domain.rasa.content[key]) for key in ("intents", "entities", "slots"))
    actions = domain.num_actions - len(domain.default_action_names)
    counts = {"intent": intents, "entity": entities, "slot": slots, "action": actions}
    return ", ".join(counted(number, noun) for noun, number in counts.items())


def network_of(max_history: int | None, priority: int | None = None) -> KerasPolicy:
    """Return the network that replaces TEDPolicy."""
    return KerasPolicy(None if max_history is None else HistoryFeaturizer(max_history), priority=priority)
