"""The ``pipeline:`` of a bot: how it is read, which steps are stored with the model, and how they make an answer.

==============================================  ===================================================================
In config.yml                                   Here
==============================================  ===================================================================
tokenizers, featurizers, language models        the network of this package, which has its own tokenizer and features
DIETClassifier, CRFEntityExtractor, ...         the network, for intents, for entities, or for both
RegexEntityExtractor, KeywordIntentClassifier,  components of the same names, with the same options
DucklingEntityExtractor, EntitySynonymMapper,
ResponseSelector, FallbackClassifier
SpacyEntityExtractor                            left out, since this package has no language model of spaCy
==============================================  ===================================================================

The components change an answer in their order, as in Rasa: a later classifier overrules an earlier one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from rasa_core.exceptions import ModelError, did_you_mean
from rasa_core.nlu import components
from rasa_core.nlu.components import NLU_FALLBACK, RETRIEVAL_KEY, Answer, Component
from rasa_core.nlu.tokens import visible
from rasa_core.nlu.training_data import TrainingData
from rasa_core.support.places import Place
from rasa_core.support.problems import Note, unread
from rasa_core.support.yaml_parts import Part, entries_of, settings_in

Step = dict[str, Any]

DEFAULT_PIPELINE: Final = ("DIETClassifier", "EntitySynonymMapper", "ResponseSelector", "FallbackClassifier")
"""The pipeline of a bot of Rasa without ``pipeline:``: Rasa's default, without tokenizers and featurizers."""

_NETWORK: Final = "the interpreter of this package stands for it"
_LEFT_OUT: Final = {
    "SpacyEntityExtractor": "left out: its entities come from a language model that is not here; mark them in examples"
}
_READS: Final = (
    *("WhitespaceTokenizer", "JiebaTokenizer", "MitieTokenizer", "SpacyTokenizer", "ConveRTTokenizer"),
    *("LanguageModelTokenizer", "RegexFeaturizer", "LexicalSyntacticFeaturizer", "CountVectorsFeaturizer"),
    *("SpacyFeaturizer", "MitieFeaturizer", "ConveRTFeaturizer", "LanguageModelFeaturizer", "SpacyNLP", "MitieNLP"),
    *("HFTransformersNLP", "NGramFeaturizer"),
)
_LEARNS_INTENTS: Final = (
    *("DIETClassifier", "SklearnIntentClassifier", "LogisticRegressionClassifier", "MitieIntentClassifier"),
    "EmbeddingIntentClassifier",
)
_LEARNS_ENTITIES: Final = ("DIETClassifier", "CRFEntityExtractor", "MitieEntityExtractor")
_PATTERN_OPTIONS: Final = {
    "case_sensitive": False,
    "use_lookup_tables": True,
    "use_regexes": True,
    "use_word_boundaries": True,
}
_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "RegexEntityExtractor": _PATTERN_OPTIONS,
    "KeywordIntentClassifier": {"case_sensitive": True},
    "DucklingEntityExtractor": {"url": None, "dimensions": None, "locale": None, "timezone": None, "timeout": 3},
    "EntitySynonymMapper": {},
    "ResponseSelector": {"retrieval_intent": None},
    "FallbackClassifier": {"threshold": 0.3, "ambiguity_threshold": 0.1},
}
"""The components that do here the same as in Rasa, with their options and the default of each option."""
_NAMED_PIPELINES: Final = (
    *("supervised_embeddings", "pretrained_embeddings_spacy", "pretrained_embeddings_convert"),
    *("tensorflow_embedding", "spacy_sklearn", "mitie", "mitie_sklearn", "keyword"),
)
_RENAMED: Final = {
    "DucklingHTTPExtractor": "DucklingEntityExtractor",  # The name in Rasa 2.
    # The names in Rasa NLU, whose configuration, often in config.yml, a bot of Rasa Core 0.9 may still have.
    **{"nlp_spacy": "SpacyNLP", "nlp_mitie": "MitieNLP", "tokenizer_whitespace": "WhitespaceTokenizer"},
    **{"tokenizer_jieba": "JiebaTokenizer", "tokenizer_mitie": "MitieTokenizer", "tokenizer_spacy": "SpacyTokenizer"},
    **{"intent_entity_featurizer_regex": "RegexFeaturizer", "intent_featurizer_ngrams": "NGramFeaturizer"},
    **{"intent_featurizer_spacy": "SpacyFeaturizer", "intent_featurizer_mitie": "MitieFeaturizer"},
    "intent_featurizer_count_vectors": "CountVectorsFeaturizer",
    **{"ner_crf": "CRFEntityExtractor", "ner_mitie": "MitieEntityExtractor", "ner_spacy": "SpacyEntityExtractor"},
    **{"ner_synonyms": "EntitySynonymMapper", "ner_duckling": "DucklingEntityExtractor"},
    "ner_duckling_http": "DucklingEntityExtractor",
    **{"intent_classifier_keyword": "KeywordIntentClassifier", "intent_classifier_mitie": "MitieIntentClassifier"},
    "intent_classifier_sklearn": "SklearnIntentClassifier",
    "intent_classifier_tensorflow_embedding": "EmbeddingIntentClassifier",
}
_KNOWN: Final = (*_READS, *_LEARNS_INTENTS, *_LEARNS_ENTITIES, *_OPTIONS, *_RENAMED, *_LEFT_OUT)
_WHOLE_NETWORK: Final = {"kind": "Interpreter", "intents": True, "entities": True}
_OF_TRAINING: Final = "ResponseSelector"
"""A component with options of its training in Rasa; these are reported as replaced by the network, not as unknown."""


# -- reading


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """The steps of a ``pipeline:``, as plain data, and a note on each component: the same, replaced, or left out."""

    steps: tuple[Step, ...] = ()
    notes: tuple[Note, ...] = ()


def read_pipeline(parts: Sequence[Part], *, ignores_own: bool = False) -> PipelineConfig:
    """Return the steps of a pipeline.

    Parameters
    ----------
    parts
        The components, as they stand in config.yml.
    ignores_own
        Whether custom and unknown components are left out; otherwise they are an error.

    Raises
    ------
    ModelError
        If there are such components, or an option has an invalid value; the message has a line for each of them.
    """
    found: list[tuple[Step | None, Note]] = []
    wrong: list[str] = []
    for part in parts:
        data = part.data
        described = data if isinstance(data, dict) else {"name": data}
        try:
            found.append(_read(described, part.place))
        except ModelError as error:
            wrong.append(f"{part.place}: {error}")
        except LookupError as error:
            if not ignores_own:
                wrong.append(f"{part.place}: {error.args[0]}")
            found.append(
                (None, Note(part.place, str(described.get("name")), "left out", "left out, as it is one's own"))
            )
    if wrong:
        raise ModelError("\n".join(wrong))
    last = max((number for number, (step, _) in enumerate(found) if step and step.get("intents")), default=-1)
    notes = tuple(
        _overruled(note) if step and step["kind"] == "KeywordIntentClassifier" and number < last else note
        for number, (step, note) in enumerate(found)
    )
    return PipelineConfig(tuple(step for step, _ in found if step is not None), notes)


def _overruled(note: Note) -> Note:
    text = "does nothing here, as a later classifier overrules it, which it does in Rasa too; move it below that"
    return replace(note, fate="replaced", message=text)


def pipeline_in(path: str | Path, *, ignores_own: bool = False) -> PipelineConfig | None:
    """Return the ``pipeline:`` of a config.yml, None if there is none; see `read_pipeline`."""
    keys = keys_of(path)
    parts = [] if _is_named(keys.get("pipeline")) else entries_of(keys, "pipeline")
    if not parts:
        return None
    return read_pipeline(parts, ignores_own=ignores_own)


def _is_named(pipeline: Part | None) -> bool:
    """Return whether a pipeline is a named template of Rasa 1, in place of which the network is used."""
    return pipeline is not None and pipeline.written in _NAMED_PIPELINES


def keys_of(path: str | Path) -> dict[str, Part]:
    """Return the keys of a config.yml, none if there is no such file; raise `ModelError` if it cannot be read."""
    return settings_in(path, "pipeline: and policies:")


def chosen_pipeline(path: str | Path, *, is_of_rasa: bool, ignores_own: bool) -> PipelineConfig | None:
    """Return the pipeline of a bot: that of its config.yml, else Rasa's default for a bot of Rasa, and None for 0.9."""
    found = pipeline_in(path, ignores_own=ignores_own)
    if is_of_rasa:
        return found or default_pipeline()
    return None if found is None else around_network(found)


def around_network(config: PipelineConfig) -> PipelineConfig:
    """Return a pipeline of a bot of 0.9 with the network and synonyms, which such a pipeline need not name."""
    steps = list(config.steps)
    if not any(step["kind"] == "Interpreter" for step in steps):
        steps.insert(0, dict(_WHOLE_NETWORK))
    if not any(step["kind"] == "EntitySynonymMapper" for step in steps):
        steps.append({"kind": "EntitySynonymMapper"})
    return replace(config, steps=tuple(steps))


def default_pipeline() -> PipelineConfig:
    """Return the steps of `DEFAULT_PIPELINE`."""
    place = Place("config.yml")
    steps = [step for name in DEFAULT_PIPELINE if (step := _read({"name": name}, place)[0]) is not None]
    return PipelineConfig(tuple(steps))


def _read(described: Mapping[str, Any], place: Place) -> tuple[Step | None, Note]:
    """Return the step for a component, None if it has none, and a note; raise `LookupError` if it is unknown."""
    path = str(described.get("name"))
    module, _, name = path.rpartition(".")
    name = _RENAMED.get(name, name)
    options = {key: value for key, value in described.items() if key != "name"}
    if (module and module.split(".")[0] != "rasa") or name not in _KNOWN:
        raise LookupError(_unknown(path, name, bool(module)))
    if name in _OPTIONS:
        return {"kind": name, **_checked(name, options)}, _same(name, path, options, place)
    if name in _LEFT_OUT:
        return None, Note(place, path, "left out", _LEFT_OUT[name])
    intents = name in _LEARNS_INTENTS and options.pop("intent_classification", True) is not False
    entities = name in _LEARNS_ENTITIES and options.pop("entity_recognition", True) is not False
    if not (intents or entities):
        return None, Note(place, path, "replaced", _NETWORK, tuple(options))
    step = {"kind": "Interpreter", "intents": intents, "entities": entities, "extractor": path.rpartition(".")[2]}
    return step, Note(place, path, "replaced", _NETWORK, tuple(options))


def _unknown(path: str, name: str, has_module: bool) -> str:
    """Return the error message for an unknown component."""
    hint = "" if has_module else did_you_mean(name, _KNOWN)
    whose = "is one of your own" if has_module else "is none of Rasa's"
    remedy = "--ignore-components goes on without it"
    return f"the component {path!r} {whose}, and nothing stands for it.{hint} Remove it; or {remedy}."


def _same(name: str, path: str, options: Mapping[str, Any], place: Place) -> Note:
    unused = tuple(key for key in options if key not in _OPTIONS[name])
    if name == "DucklingEntityExtractor" and not options.get("url"):
        text = f"the same, at the address in {components.DUCKLING_VARIABLE}; without it, nothing is found"
        return Note(place, path, "replaced", text, unused)
    if not unused:
        return Note(place, path, "same", "the same")
    if name == _OF_TRAINING:
        return Note(place, path, "replaced", _NETWORK, unused)
    return Note(place, path, "replaced", "the same", unread(options, _OPTIONS[name]))


def _checked(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a component, completed with defaults; raise `ModelError` for an invalid value."""
    found = {key: default if options.get(key) is None else options[key] for key, default in _OPTIONS[name].items()}
    for key, default in _OPTIONS[name].items():
        value = found[key]
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if isinstance(default, bool) and not isinstance(value, bool):
            raise ModelError(f"{key}: of {name} is true or false, not {value!r}.")
        if isinstance(default, float) and not (is_number and 0 <= value <= 1):
            raise ModelError(f"{key}: of {name} is a number from 0 to 1, not {value!r}.")
        if key == "timeout" and not (is_number and value > 0):
            raise ModelError(f"timeout: of {name} is a number of seconds above 0, not {value!r}.")
    wanted = found.get("dimensions")
    if wanted is not None and not isinstance(wanted, list):
        raise ModelError(f"dimensions: of {name} is a list such as [time, number], not {wanted!r}.")
    return found


# -- storing


def stored_steps(config: PipelineConfig | None, data: TrainingData) -> list[Step] | None:
    """Return the steps that are stored with a model, as plain data for JSON; None if the network alone answers.

    Parameters
    ----------
    config
        The pipeline; None for a bot without one, which needs steps only for lookup tables with ``extract: true``.
    data
        The training data, from which steps take keywords, names of patterns, and values of entities.
    """
    alone = [lookup.name for lookup in data.lookups if lookup.extract]
    if config is None and not alone:
        return None
    steps = [dict(_WHOLE_NETWORK)] if config is None else [dict(step) for step in config.steps]
    if alone and not any(step["kind"] == "RegexEntityExtractor" for step in steps):
        steps.insert(_after_extractors(steps), {"kind": "RegexEntityExtractor", **_PATTERN_OPTIONS, "lookups": alone})
    if config is None:
        steps.append({"kind": "EntitySynonymMapper"})
    return [_with_data(step, data, alone) for step in steps]


def _after_extractors(steps: Sequence[Step]) -> int:
    # The position is behind the network, which finds entities, and before synonyms, which replace their values.
    places = [number for number, step in enumerate(steps) if step["kind"] == "Interpreter"]
    return places[-1] + 1 if places else 0


def _with_data(step: Step, data: TrainingData, alone: Sequence[str]) -> Step:
    """Return a step with its part of the training data: keywords, names of patterns, or values of entities."""
    if step["kind"] == "KeywordIntentClassifier":
        named = [(one.text, one.intent.partition("/")[0]) for one in data.examples if one.intent]
        return {**step, "keywords": components.keywords_among(named, case_sensitive=step["case_sensitive"])}
    if step["kind"] == "RegexEntityExtractor" and "lookups" not in step:
        # As in Rasa, patterns that do not have the name of an entity in the examples are features only.
        entities = set(data.entities)
        lookups = [one.name for one in data.lookups if one.name in entities] if step["use_lookup_tables"] else []
        regexes = [one.name for one in data.regexes if one.name in entities] if step["use_regexes"] else []
        return {**step, "lookups": list(dict.fromkeys([*lookups, *alone])), "regexes": list(dict.fromkeys(regexes))}
    if step["kind"] == "EntitySynonymMapper":
        values = [str(entity.value) for one in data.examples for entity in one.entities]
        entries = [entry for one in data.lookups if one.extract for entry in one.entries]
        return {**step, "values": list(dict.fromkeys([*values, *entries]))}
    return step


# -- answering


class Pipeline:
    """The steps that turn the answer of the network into the answer of the interpreter.

    Parameters
    ----------
    steps
        The steps, as `stored_steps` returns them.
    description
        The description of the model, with its synonyms, lookup tables and regular expressions.

    Raises
    ------
    ModelError
        If a step is damaged.
    """

    def __init__(self, steps: Sequence[Mapping[str, Any]], description: Mapping[str, Any]) -> None:
        try:
            self._steps = [_component(step, description) for step in steps]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelError(f"the pipeline of the model is damaged: {error!r}. Train the model again.") from error

    def finish(self, network: Answer) -> Answer:
        """Return the answer to a message; `network` is the answer of the network alone."""
        text = network["text"]
        seen, places = visible(text)
        # Entities of the network have positions in the text as it was sent; components read its visible characters.
        at = {place: number for number, place in enumerate(places)}
        found = [{**one, "start": at[one["start"]], "end": at[one["end"] - 1] + 1} for one in network["entities"]]
        answer: Answer = {
            "text": text,
            "intent": {"name": None, "confidence": 0.0},
            "entities": [],
            "intent_ranking": [],
            "network": {**network, "entities": found},
        }
        for step in self._steps:
            step.change(answer, seen)
        del answer["network"]
        if selected := answer.pop("selected", None):
            answer["response_selector"] = selected
        if part := _part_meant(answer):
            answer["intent"][RETRIEVAL_KEY] = part
        for one in answer["entities"] if seen is not text else ():
            one["start"], one["end"] = places[one["start"]], places[one["end"] - 1] + 1
        return {**answer, "truncated": True} if network.get("truncated") else answer


def _component(step: Mapping[str, Any], description: Mapping[str, Any]) -> Component:
    kind = step["kind"]
    if kind == "Interpreter":
        return components.Interpreter(step)
    if kind == "KeywordIntentClassifier":
        return components.KeywordIntents(step["keywords"], case_sensitive=step["case_sensitive"])
    if kind == "RegexEntityExtractor":
        return components.EntityPatterns(
            [(name, entries) for name, entries in description["lookups"] if name in step["lookups"]],
            [(name, pattern) for name, pattern in description["regexes"] if name in step.get("regexes", ())],
            case_sensitive=step["case_sensitive"],
            whole_words=step["use_word_boundaries"],
        )
    if kind == "EntitySynonymMapper":
        return components.Synonyms(description["synonyms"], step.get("values", ()))
    if kind == "ResponseSelector":
        name = step["retrieval_intent"]
        return components.ResponseSelector([] if name is None else [name], name is None)
    if kind == "DucklingEntityExtractor":
        return components.Duckling(step)
    if kind == "FallbackClassifier":
        return components.Fallback(step["threshold"], step["ambiguity_threshold"])
    raise ValueError(f"there is no component {kind!r}")


def _part_meant(parse: Mapping[str, Any]) -> str | None:
    """Return the part of its intent that a message is taken for, ``faq/opening`` of ``faq``; None without parts."""
    name, told = (parse.get("intent") or {}).get("name"), parse.get("response_selector") or {}
    if name is None or name not in told.get("all_retrieval_intents", ()):
        return None
    ranking = (told.get(name) or told.get(components.DEFAULT_SELECTOR) or {}).get("ranking", ())
    keys = (str(one["intent_response_key"]) for one in ranking)
    return next((key for key in keys if key.startswith(f"{name}/")), None)


def best_understood(parse: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the intent of a parse; in place of the fallback, the best of the other intents."""
    intent: Mapping[str, Any] = parse.get("intent") or {}
    if intent.get("name") != NLU_FALLBACK:
        return intent
    others = [one for one in parse.get("intent_ranking", ()) if one.get("name") != NLU_FALLBACK]
    return others[0] if others else {"name": None, "confidence": 0.0}
