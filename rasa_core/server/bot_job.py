"""The process of one job for `rasa_core.server.bots`: it trains a bot, or tests the served model."""

from __future__ import annotations

import logging
import tarfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rasa_core.agent import Agent
from rasa_core.evaluation.metrics import LabelScores, Pair, accuracy, ratio, scores_by_label
from rasa_core.evaluation.nlu import NONE, evaluate_messages, failed_message
from rasa_core.evaluation.stories import evaluate_stories
from rasa_core.exceptions import RasaCoreError
from rasa_core.nlu.model import NLUModel
from rasa_core.nlu.reading import read_training_text
from rasa_core.project import Project
from rasa_core.project.models import DIALOGUE, NLU
from rasa_core.rasa3.domain_parts import DOMAIN_KEYS
from rasa_core.server.job_process import Report, carry_out, failure
from rasa_core.slots import without_imports
from rasa_core.stories import extract_story_graph
from rasa_core.support.folders import copy_folder
from rasa_core.support.own_code import load_modules
from rasa_core.support.yaml_parts import Part, YamlError, yaml_part

BODY: Final = "body"
"""The name of the text in error messages, in the place of a file name."""

_LEADING_OUT: Final = ("imports", "importers")
_SETTINGS: Final = frozenset({"policies", "pipeline", "recipe"})
_ALL, _OTHERS, _CONFIG = "domain.yml", "data/bot.yml", "config.yml"
_FILES: Final = {
    **{"config": _CONFIG, "domain": _ALL, "nlu": "data/nlu", "stories": "data/stories"},
    **{"rules": "data/rules", "responses": "data/responses"},
}
"""The files whose texts a body in JSON may have, by their keys; without an ending where it may be Markdown."""


def run(job: Mapping[str, Any]) -> Report:
    """Do a job, and return its report.

    Parameters
    ----------
    job
        ``do``, the name of a function in `_JOBS`; ``text``, the body of the request; ``folder``, an empty folder; and
        what the function needs further.
    """
    try:
        return {"status": 200, **_JOBS[job["do"]](job)}
    except (RasaCoreError, ImportError) as error:
        told = str(error)
        for name in (f"bot/{_ALL}", f"bot/{_CONFIG}", f"bot/{_OTHERS}", "stories.yml", "stories.md"):
            told = told.replace(f"{job['folder']}/{name}", BODY)
        told = told.replace(f"{job['folder']}/bot/", "").replace(f"{job['folder']}/bot", BODY)
        return failure(501 if "pip install" in told else 400, told)


# -- training


def train(job: Mapping[str, Any]) -> Report:
    """Train the bot in the text, and write its version to ``folder/bot/models``, and packed to ``folder``.

    The text is a document in YAML with all keys of a project, or one in JSON with the texts of its files by their
    names. What has not changed is taken from ``before``, the folder of a version. The report has the name of the
    ``version``, which is that of ``before`` if nothing has changed.
    """
    folder = Path(job["folder"], "bot")
    for name, text in _files_of(job["text"]).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    before = None if job["before"] is None else Path(job["before"])
    for part in (DIALOGUE, NLU):
        if before is not None and (before / part).is_dir():
            copy_folder(before / part, folder / "models" / part)
    with without_imports():
        project = Project(folder)
        for file in project.nlu_files:  # In a text without a file, a lookup table cannot name a file of this machine.
            read_training_text(file.read_text(encoding="utf-8"), str(file))
        project.train_if_changed(say=lambda line: None)
    versions = project.models.versions
    made = [versions.path(name) for name in versions.names()]
    if before is not None:  # If something has changed, the models of before are there as the first version.
        made[:1] = [before]
    with tarfile.open(Path(job["folder"], job["archive"]), "w:gz") as packed:
        packed.add(made[-1], made[-1].name)
    return {"version": made[-1].name}


def _files_of(text: str) -> dict[str, str]:
    """Return the texts of the files of a project by their paths; raise `YamlError` if they lead to other files."""
    keys = _keys_of(text, BODY)
    told = {name: part.data for name, part in keys.items() if name in _FILES and isinstance(part.data, str)}
    if not told:
        home = _ALL if keys.keys() & DOMAIN_KEYS else _OTHERS
        return {home: text, **({_CONFIG: text} if keys.keys() & _SETTINGS else {})}
    files = {}
    for name, content in told.items():
        path = _FILES[name]
        if "." not in path:
            path += ".md" if content.lstrip().startswith("#") else ".yml"
        if path.endswith(".yml"):
            _keys_of(content, name)
        if content.strip():
            files[path] = content
    return files


def _keys_of(text: str, name: str) -> Mapping[str, Part]:
    root = yaml_part(text, name)
    keys = {} if root is None else root.keys()
    for key in _LEADING_OUT:
        if key in keys:
            raise YamlError(keys[key].key_place, f"{key}: leads to other files, which are not read here; leave it out.")
    return keys


# -- testing


def test_stories(job: Mapping[str, Any]) -> Report:
    """Evaluate a model on test stories; with ``e2e``, the interpreter has to understand their texts, too."""
    load_modules((), job["model"])
    agent = Agent.load(job["model"], interpreter=job["nlu"])
    file = Path(job["folder"], "stories.md" if agent.domain.rasa is None else "stories.yml")
    file.write_text(job["text"], encoding="utf-8")
    graph = extract_story_graph(file, agent.domain, agent.interpreter)
    found = evaluate_stories(agent, graph, parser=agent.interpreter if job["e2e"] else None)
    heard = [(one.example.intent or NONE, one.intent) for one in found.messages]
    report = _report([*heard, *found.pairs])
    return {
        "report": report,
        **_means(report, "f1"),
        "actions": [
            {
                **{"action": one.expected, "predicted": one.prediction.action},
                **{"policy": one.prediction.policy, "confidence": one.prediction.confidence},
            }
            for one in found.actions
        ],
        "in_training_data_fraction": ratio(found.learnt, len(found.stories)),
        "is_end_to_end_evaluation": job["e2e"],
    }


def test_intents(job: Mapping[str, Any]) -> Report:
    """Evaluate an NLU model on examples."""
    data = read_training_text(job["text"], BODY)
    found = evaluate_messages(NLUModel.load(job["nlu"]), data.examples, silent=True)
    report = _report(found.pairs, tells_confused=True)
    wrong = [one for one in found.with_intent if not one.is_intent_right]
    entities = _summary(found.entities)
    right = sum(one.found == one.expected for one in found.messages)
    return {
        "intent_evaluation": {
            "predictions": [
                {
                    **{"text": one.example.text, "intent": one.example.intent},
                    **{"predicted": one.intent, "confidence": one.confidence},
                }
                for one in found.with_intent
            ],
            "report": report,
            **_means(report, "f1_score"),
            "errors": [
                {
                    **{"text": one.example.text, "intent": one.example.intent},
                    "intent_prediction": {"name": one.intent, "confidence": one.confidence},
                }
                for one in wrong
            ],
        },
        "entity_evaluation": {
            "all": {
                "report": entities,
                **_means({**entities, "accuracy": ratio(right, len(found.messages))}, "f1_score"),
                "errors": [failed_message(one) for one in found.messages if one.found != one.expected],
            }
        }
        if found.entities
        else None,
        "response_selection_evaluation": None,
    }


def _report(pairs: Sequence[Pair], *, tells_confused: bool = False) -> dict[str, Any]:
    """Return the scores of each label and their means, as Rasa does; a label that is empty has no scores."""
    if not pairs:
        return {}
    report = _summary([one for one in scores_by_label(pairs) if one.label != NONE])
    if tells_confused:
        for name, found in report.items():
            confused = Counter(got for expected, got in pairs if expected == name != got)
            found.update({} if name in _MEANS else {"confused_with": dict(confused.most_common())})
    return {**report, "accuracy": accuracy(pairs)}


_MEANS: Final = ("micro avg", "macro avg", "weighted avg")


def _summary(scores: Sequence[LabelScores]) -> dict[str, Any]:
    """Return scores by their labels, and their means."""
    support, found = sum(one.support for one in scores), sum(one.predicted for one in scores)
    hits = sum(one.recall * one.support for one in scores)

    def mean(weight: Callable[[LabelScores], float]) -> dict[str, float]:
        whole = sum(map(weight, scores))
        parts = (("precision", "precision"), ("recall", "recall"), ("f1-score", "f1"))
        means = {name: ratio(sum(weight(one) * getattr(one, key) for one in scores), whole) for name, key in parts}
        return {**means, "support": support}

    micro = {
        "precision": ratio(hits, found),
        "recall": ratio(hits, support),
        "f1-score": ratio(2 * hits, support + found),
    }
    return {
        **{
            one.label: {"precision": one.precision, "recall": one.recall, "f1-score": one.f1, "support": one.support}
            for one in scores
        },
        **{"micro avg": {**micro, "support": support}, "macro avg": mean(lambda one: 1.0)},
        "weighted avg": mean(lambda one: one.support),
    }


def _means(report: Mapping[str, Any], f1: str) -> dict[str, float]:
    """Return the figures over all labels of a report; zeros if it has none."""
    mean = report.get("weighted avg", {})
    return {
        **{"precision": mean.get("precision", 0.0), f1: mean.get("f1-score", 0.0)},
        "accuracy": report.get("accuracy", 0.0),
    }


_JOBS: Final = {"train": train, "stories": test_stories, "intents": test_intents}


if __name__ == "__main__":
    logging.getLogger("rasa_core").setLevel(logging.ERROR)  # A document with all keys has unknown ones for each reader.
    carry_out(run)
