"""The names that programs for Rasa Core 0.9, or written after our documents, import and use."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rasa_core import Agent, Domain, events
from rasa_core.channels import UserMessage
from rasa_core.channels.direct import CollectingOutputChannel
from rasa_core.dispatcher import Dispatcher
from rasa_core.events import Event
from rasa_core.interpreter import RegexInterpreter
from rasa_core.policies import FallbackPolicy, SimplePolicyEnsemble
from rasa_core.processor import MessageProcessor

ROOT = Path(__file__).parents[1]

MODULES = """
rasa_core: Agent __version__
rasa_core.actions: Action
rasa_core.actions.action: ACTION_LISTEN_NAME ACTION_RESTART_NAME Action ActionListen ActionRestart UtterAction
rasa_core.actions.factories: RemoteAction action_factory_by_name ensure_action_name_uniqueness local_action_factory
rasa_core.actions.factories: remote_action_factory
rasa_core.actions.forms: BooleanFormField EntityFormField FormAction FormField FreeTextFormField
rasa_core.agent: Agent
rasa_core.channels: HttpInputChannel HttpInputComponent InputChannel OutputChannel UserMessage
rasa_core.channels.channel: InputChannel OutputChannel UserMessage
rasa_core.channels.console: ConsoleInputChannel ConsoleOutputChannel
rasa_core.channels.custom: CustomInput
rasa_core.channels.direct: CollectingOutputChannel
rasa_core.channels.file: FileInputChannel
rasa_core.channels.rest: HttpInputChannel HttpInputComponent
rasa_core.conversation: DefaultTopic Dialogue QuestionTopic Topic
rasa_core.dispatcher: BotMessage Button Dispatcher Element
rasa_core.domain: Domain PREV_PREFIX TemplateDomain check_domain_sanity
rasa_core.evaluate: actions_since_last_utterance align_lists collect_story_predictions create_argument_parser
rasa_core.evaluate: run_story_evaluation
rasa_core.events: ActionExecuted ActionReverted AgentUttered AllSlotsReset BotUttered ConversationPaused
rasa_core.events: ConversationResumed Event ReminderScheduled Restarted SlotSet StoryExported TopicSet UserUttered
rasa_core.events: UserUtteranceReverted deserialise_events
rasa_core.featurizers: BinarySingleStateFeaturizer FullDialogueTrackerFeaturizer LabelTokenizerSingleStateFeaturizer
rasa_core.featurizers: MaxHistoryTrackerFeaturizer SingleStateFeaturizer TrackerFeaturizer
rasa_core.interpreter: INTENT_MESSAGE_PREFIX NaturalLanguageInterpreter RasaNLUHttpInterpreter RasaNLUInterpreter
rasa_core.interpreter: RegexInterpreter
rasa_core.policies: AugmentedMemoizationPolicy FallbackPolicy KerasPolicy MemoizationPolicy OnlinePolicyEnsemble Policy
rasa_core.policies: PolicyEnsemble SimplePolicyEnsemble
rasa_core.policies.augmented_memoization: AugmentedMemoizationPolicy
rasa_core.policies.ensemble: PolicyEnsemble SimplePolicyEnsemble UnsupportedDialogueModelError
rasa_core.policies.fallback: FallbackPolicy
rasa_core.policies.keras_policy: KerasPolicy
rasa_core.policies.memoization: AugmentedMemoizationPolicy MemoizationPolicy
rasa_core.policies.online_trainer: DEFAULT_FILE_EXPORT_PATH OnlinePolicyEnsemble TrainingFinishedException
rasa_core.policies.policy: Policy
rasa_core.processor: MessageProcessor
rasa_core.remote: RasaCoreClient RemoteAgent
rasa_core.restore: create_argument_parser load_tracker_from_json recreate_agent replay_events
rasa_core.run: create_argument_parser create_input_channel main
rasa_core.server: create_app create_argument_parser
rasa_core.slots: BooleanSlot CategoricalSlot DataSlot FloatSlot ListSlot Slot TextSlot UnfeaturizedSlot
rasa_core.tracker_store: InMemoryTrackerStore RedisTrackerStore TrackerStore
rasa_core.trackers: ActionExecuted DialogueStateTracker SlotSet TopicSet
rasa_core.train: create_argument_parser train_dialogue_model
rasa_core.training: Story StoryFileReader StoryGraph extract_story_graph load_data persist_data
rasa_core.training.data: DialogueTrainingData
rasa_core.training.dsl: StoryFileReader
rasa_core.training.generator: TrackerWithCachedStates TrainingDataGenerator
rasa_core.training.structures: Checkpoint STORY_END STORY_START Story StoryGraph StoryStep
rasa_core.training.visualization: visualize_stories
rasa_core.utils: add_logging_option_arguments bcolors class_from_module_path configure_colored_logging
rasa_core.utils: configure_file_logging create_dir_for_file dump_obj_as_json_to_file module_path_from_instance one_hot
rasa_core.utils: fix_yaml_loader is_int lazyproperty print_color read_file read_yaml_file wrap_with_color zip_folder
rasa_core.visualize: create_argument_parser
"""
"""A module, and what is imported from it. What the migration page says to be left out is not here."""

MEMBERS = """
actions.Action: name resets_topic run
actions.forms.FormAction: RANDOMIZE get_other_slots get_requested_slot name required_fields should_request_slot submit
actions.forms.FormField: validate
agent.Agent: continue_message_handling create_tracker_store handle_channel handle_message load load_data persist
agent.Agent: start_message_handling toggle_memoization train train_online visualize
channels.HttpInputComponent: blueprint
channels.InputChannel: start_async_listening start_sync_listening
channels.OutputChannel: send_custom_message send_image_url send_text_message send_text_with_buttons
channels.UserMessage: DEFAULT_SENDER_ID
channels.direct.CollectingOutputChannel: latest_output
events.Event: apply_to as_dict as_story_string from_parameters from_story_string resolve_by_type type_name
featurizers.MaxHistoryTrackerFeaturizer: create_X featurize_trackers load persist prediction_states
featurizers.MaxHistoryTrackerFeaturizer: training_states_and_actions
featurizers.SingleStateFeaturizer: action_as_one_hot encode prepare_from_domain
interpreter.NaturalLanguageInterpreter: create parse
policies.KerasPolicy: model_architecture
policies.MemoizationPolicy: ENABLE_FEATURE_STRING_COMPRESSION USE_NLU_CONFIDENCE_AS_SCORE toggle
policies.Policy: SUPPORTS_ONLINE_TRAINING continue_training featurize_for_training featurizer load persist
policies.Policy: predict_action_probabilities train
policies.SimplePolicyEnsemble: load persist predict_next_action probabilities_using_best_policy train
processor.MessageProcessor: continue_message_handling handle_channel handle_message handle_reminder
processor.MessageProcessor: log_bot_utterances_on_tracker start_message_handling
remote.RasaCoreClient: append_events_to_tracker clients continue_core parse status tracker tracker_json upload_model
remote.RemoteAgent: handle_channel load process_message
slots.Slot: as_feature feature_dimensionality has_features persistence_info reset resolve_by_type value_reset_delay
tracker_store.RedisTrackerStore: keys save
tracker_store.TrackerStore: create_tracker deserialise_tracker get_or_create_tracker init_tracker keys retrieve save
tracker_store.TrackerStore: serialise_tracker
trackers.DialogueStateTracker: applied_events as_dialogue clear_follow_up_action copy current_slot_values current_state
trackers.DialogueStateTracker: events_after_latest_restart export_stories export_stories_to_file from_dict
trackers.DialogueStateTracker: generate_all_prior_trackers get_latest_entity_values get_slot idx_after_latest_restart
trackers.DialogueStateTracker: init_copy is_paused past_states previous_topic recreate_from_dialogue replay_events topic
trackers.DialogueStateTracker: travel_back_in_time trigger_follow_up_action update
training.dsl.StoryFileReader: process_lines read_from_file read_from_folder
training.generator.TrainingDataGenerator: generate
training.structures.Story: as_story_string dump_to_file from_events
training.structures.StoryGraph: as_story_string cyclic_edges ordered_steps visualize with_cycles_removed
"""
"""A class, and what of it is used."""

ATTRIBUTES = """
Agent: domain interpreter policy_ensemble tracker_store
Dispatcher: latest_bot_messages retrieve_template send_messages utter_attachment utter_button_message
Dispatcher: utter_button_template utter_custom_message utter_message utter_response utter_template
Domain: DEFAULT_ACTIONS action_for_index action_for_name action_map action_names actions collect_slots collect_templates
Domain: compare_with_specification default_topic entities entity_states get_active_states get_parsing_states
Domain: get_prev_action_states index_for_action index_of_state input_state_map input_states instantiate_actions
Domain: intent_states intents load load_specification num_actions num_states persist persist_specification
Domain: prev_action_states random_template_for restart_intent slot_states slots slots_for_entities
Domain: states_for_tracker_history store_entities_as_slots templates topics validate_domain_yaml
DialogueStateTracker: events follow_up_action latest_action_name latest_bot_utterance latest_message sender_id slots
"""
"""A kind of object, and what of it is used."""


def cases(table: str) -> list[tuple[str, str]]:
    rows = (line.split(": ") for line in table.strip().splitlines())
    return [(where, name) for where, names in rows for name in names.split()]


def documented() -> list[tuple[str, str]]:
    """Return the imports in the documents and examples: the module, and the name."""
    texts = [ROOT / "README.rst", *(ROOT / "docs").glob("*.rst"), *(ROOT / "examples").rglob("*.[rp][sy]*")]
    found = set()
    for path in texts:
        text = path.read_text(encoding="utf-8")
        for module, names in re.findall(r"^ *from (rasa_core[\w.]*) import ([\w, ]+)", text, re.MULTILINE):
            found |= {(module, name.split()[0]) for name in names.split(",")}
    return sorted(found)


def test_names_are_imported() -> None:
    names = [*cases(MODULES), *documented()]
    assert len(names) > 150
    assert [(module, name) for module, name in names if not hasattr(importlib.import_module(module), name)] == []


def test_classes_have_what_is_used_of_them() -> None:
    missing = []
    for path, name in cases(MEMBERS):
        module, _, kind = path.rpartition(".")
        if not hasattr(getattr(importlib.import_module(f"rasa_core.{module}"), kind), name):
            missing.append((path, name))
    assert missing == []


def test_objects_have_what_is_used_of_them() -> None:
    domain = Domain.from_yaml("intents: [greet]")
    agent = Agent(domain)
    tracker = agent.tracker_store.get_or_create_tracker("anna")
    objects = [domain, agent, tracker, Dispatcher("anna", CollectingOutputChannel(), domain)]
    found = {type(one).__name__: set(dir(one)) for one in objects}
    assert [(kind, name) for kind, name in cases(ATTRIBUTES) if name not in found[kind]] == []


def test_names_with_an_underscore_that_programs_used_all_the_same_lead_where_they_did() -> None:
    domain = Domain.from_yaml("intents: [greet]\nactions: [utter_a]\naction_factory: remote")
    assert domain._factory_name == "remote"
    processor = MessageProcessor(RegexInterpreter(), SimplePolicyEnsemble([FallbackPolicy()]), domain, None)
    assert processor._parse_message(UserMessage("/greet"))["intent"]["name"] == "greet"


ORDERS = {
    "agent.Agent": "domain policies interpreter tracker_store",
    "agent.Agent.load": "path interpreter tracker_store action_factory",
    "agent.Agent.visualize": "self resource_name output_file max_history nlu_training_data should_merge_nodes fontsize",
    "evaluate.collect_story_predictions": "resource_name policy_model_path nlu_model_path max_stories",
    "evaluate.run_story_evaluation": (
        "resource_name policy_model_path nlu_model_path max_stories out_file_stories out_file_plot"
    ),
    "events.ReminderScheduled": "action_name trigger_date_time name kill_on_user_message timestamp",
    "events.UserUttered": "text intent entities parse_data timestamp",
    "policies.fallback.FallbackPolicy": "nlu_threshold core_threshold fallback_action_name",
    "policies.keras_policy.KerasPolicy": "featurizer model graph current_epoch",
    "processor.MessageProcessor": (
        "interpreter policy_ensemble domain tracker_store max_number_of_predictions message_preprocessor "
        "on_circuit_break"
    ),
    "run.main": "model_directory nlu_model channel port credentials_file",
    "server.create_app": (
        "model_directory interpreter loglevel logfile cors_origins action_factory auth_token tracker_store"
    ),
    "slots.FloatSlot": "name initial_value value_reset_delay max_value min_value",
    "trackers.DialogueStateTracker": "sender_id slots topics default_topic max_event_history",
    "train.train_dialogue_model": (
        "domain_file stories_file output_path use_online_learning nlu_model_path max_history kwargs"
    ),
    "training.load_data": (
        "resource_name domain remove_duplicates unique_last_num_states augmentation_factor max_number_of_trackers "
        "tracker_limit use_story_concatenation debug_plots"
    ),
    "training.generator.TrainingDataGenerator": (
        "story_graph domain remove_duplicates unique_last_num_states augmentation_factor max_number_of_trackers "
        "tracker_limit use_story_concatenation debug_plots"
    ),
    "training.visualization.visualize_stories": (
        "story_steps domain output_file max_history interpreter nlu_training_data should_merge_nodes fontsize"
    ),
}


@pytest.mark.parametrize("path", ORDERS)
def test_parameters_keep_their_order(path: str) -> None:
    found: Any = importlib.import_module("rasa_core")
    for name in path.split("."):
        is_module = isinstance(found, ModuleType) and name.islower() and not hasattr(found, name)
        found = importlib.import_module(f"{found.__name__}.{name}") if is_module else getattr(found, name)
    names = ORDERS[path].split()
    assert list(inspect.signature(found).parameters)[: len(names)] == names


def test_the_documents_are_read() -> None:
    assert ("rasa_core.remote", "RasaCoreClient") in documented()
    assert len(documented()) > 15


def test_what_is_left_out_says_so() -> None:
    with pytest.raises(ImportError, match="SklearnPolicy is left out"):
        exec("from rasa_core.policies import SklearnPolicy", {})


def test_a_star_brings_the_events_and_no_class_in_the_place_of_a_module() -> None:
    found: dict[str, Any] = {}
    exec("import datetime, json, warnings\nfrom rasa_core.events import *", found)
    assert all(isinstance(found[name], ModuleType) for name in ("datetime", "json", "warnings"))
    own = {name for name, value in vars(events).items() if isinstance(value, type) and issubclass(value, Event)}
    assert {name for name in own if not name.startswith("_")} <= set(found)
