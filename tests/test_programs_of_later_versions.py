"""Programs for Rasa Core 0.10 to 0.14, with an action server: they run, or get an error with a remedy."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final
from urllib.request import Request, urlopen

import flask
import pytest
from click.testing import CliRunner
from launched_command import listens
from programs import free_port, until

from rasa_core import config
from rasa_core.agent import Agent
from rasa_core.channels import CollectingOutputChannel, InputChannel, UserMessage
from rasa_core.channels.file import FileInputChannel
from rasa_core.commands.run import command
from rasa_core.commands.train import command as train_command
from rasa_core.commands.visualize import command as visualize_command
from rasa_core.compat import later
from rasa_core.domain import Domain
from rasa_core.exceptions import DomainError, RasaCoreError
from rasa_core.policies.embedding_policy import EmbeddingPolicy
from rasa_core.policies.fallback import FallbackPolicy
from rasa_core.policies.form_policy import FormPolicy
from rasa_core.policies.keras_policy import KerasPolicy
from rasa_core.policies.mapping_policy import MappingPolicy
from rasa_core.policies.memoization import MemoizationPolicy
from rasa_core.policies.policy import confidence_scores_for
from rasa_core.policies.rules import RulePolicy
from rasa_core.policies.two_stage_fallback import TwoStageFallbackPolicy
from rasa_core.training import interactive, online
from rasa_core.utils import EndpointConfig, read_endpoint_config

DOMAIN: Final = """
intents: [greet, rain]
actions: [utter_greet, action_rain]
templates:
  utter_greet:
  - Good day
"""
STORIES: Final = "## a\n* greet\n - utter_greet\n\n## b\n* rain\n - action_rain\n"
JSON: Final = {"Content-Type": "application/json"}
ENDPOINTS: Final = "action_endpoint:\n  url: http://127.0.0.1:9/webhook\n"


def bot(folder: Path, **files: str) -> Path:
    for name, text in {"weather_domain.yml": DOMAIN, "stories.md": STORIES, **files}.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


PROGRAM: Final = """
import logging
import rasa_core
from rasa_core import config
from rasa_core.compat import later
from rasa_core.agent import Agent
from rasa_core.interpreter import RegexInterpreter
from rasa_core.policies import FallbackPolicy, MemoizationPolicy
from rasa_core.policies.form_policy import FormPolicy
from rasa_core.run import serve_application
from rasa_core.train import interactive
from rasa_core.utils import EndpointConfig

def train():
    fallback = FallbackPolicy(fallback_action_name="action_default_fallback", core_threshold=0.3, nlu_threshold=0.3)
    agent = Agent("weather_domain.yml", policies=[FormPolicy(), MemoizationPolicy(max_history=2), fallback])
    agent.train(agent.load_data("stories.md"))
    agent.persist("models/dialogue")

def run():
    endpoint = EndpointConfig(url="http://127.0.0.1:9/webhook")
    agent = Agent.load("models/dialogue", interpreter=RegexInterpreter(), action_endpoint=endpoint)
    rasa_core.run.serve_application(agent, channel="cmdline")

train()
run()
"""


def test_a_program_trains_and_talks(tmp_path: Path) -> None:
    bot(tmp_path, **{"train.py": PROGRAM, "actions.py": "from rasa_core_sdk import Action\n"})
    done = subprocess.run(
        [sys.executable, "train.py"], cwd=tmp_path, input="/greet\n/rain\n/stop\n", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Good day" in done.stdout
    assert "the action server at http://127.0.0.1:9/webhook gave no answer to 'action_rain'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("files", [{"endpoints.yml": ENDPOINTS}, {"actions.py": "import rasa_sdk\n"}])
def test_actions_that_are_no_classes_run_in_the_server_that_stands_beside_the_domain(
    tmp_path: Path, files: dict[str, str]
) -> None:
    domain = bot(tmp_path, **files) / "weather_domain.yml"
    assert Agent(domain).domain.action_factory == "remote"


def test_without_a_server_they_are_an_error_as_before(tmp_path: Path) -> None:
    with pytest.raises(DomainError, match="action 'action_rain' is neither a template nor the dotted path"):
        Agent(bot(tmp_path) / "weather_domain.yml")


def test_a_domain_with_a_list_of_forms_is_one_of_rasa_1(tmp_path: Path) -> None:
    bot(tmp_path, **{"weather_domain.yml": DOMAIN + "forms: [rain_form]\n"})
    agent = Agent(tmp_path / "weather_domain.yml", policies=[MemoizationPolicy(), FormPolicy()])
    assert agent.domain.rasa is not None
    assert list(agent.domain.rasa.forms) == ["rain_form"]
    agent.train(agent.load_data(tmp_path / "stories.md"))
    assert agent.handle_message("/greet") == [{"recipient_id": "default", "text": "Good day"}]


def test_a_channel_that_collects_is_found_beside_the_others() -> None:
    assert CollectingOutputChannel().messages == []


def test_an_endpoint_is_a_mapping_like_one_in_endpoints_yml(tmp_path: Path) -> None:
    endpoint = EndpointConfig("http://a/webhook", headers={"x": "y"}, token="abc", token_name="t")
    assert endpoint == {"url": "http://a/webhook", "headers": {"x": "y"}, "token": "abc", "token_name": "t"}
    assert (endpoint.url, endpoint.token, endpoint.params) == ("http://a/webhook", "abc", {})
    bot(tmp_path, **{"endpoints.yml": ENDPOINTS})
    read = read_endpoint_config(tmp_path / "endpoints.yml", "action_endpoint")
    assert read is not None
    assert read.url == "http://127.0.0.1:9/webhook"
    assert read_endpoint_config(tmp_path / "endpoints.yml", "nlg") is None


@pytest.mark.parametrize(("listed", "chosen"), [("", "action_listen"), ("utter_default", "utter_default")])
def test_the_fallback_of_later_versions_says_that_it_did_not_understand(listed: str, chosen: str) -> None:
    domain = Domain.from_yaml(f"intents: [a]\nactions: [{listed}]\ntemplates: {{utter_default: [Sorry]}}\n")
    policy = FallbackPolicy(fallback_action_name="action_default_fallback")
    policy.train([], domain)
    assert policy.fallback_action_name == chosen
    # Any other action that there is not is an error, as in 0.9.
    with pytest.raises(RasaCoreError, match="utter_nothing"):
        FallbackPolicy(fallback_action_name="utter_nothing").train([], domain)


def test_policies_of_later_versions_are_stood_for(caplog: pytest.LogCaptureFixture) -> None:
    form = FormPolicy()
    assert isinstance(form, RulePolicy)
    assert not form.enable_fallback_prediction
    assert isinstance(MappingPolicy(), RulePolicy)
    assert "triggers: of the domain work where the folder of the bot is trained" in caplog.text
    fallback = TwoStageFallbackPolicy(nlu_threshold=0.4, core_threshold=0.2)
    assert (fallback.nlu_threshold, fallback.core_threshold) == (0.4, 0.2)
    assert "with Agent.train, what is not understood leads to 'action_default_fallback' at once" in caplog.text
    assert EmbeddingPolicy(epochs=7, attn_shift_range=5, max_history=4).max_history == 4


def test_the_policies_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "policies.yml"
    file.write_text("policies:\n- name: KerasPolicy\n  max_history: 4\n- name: MemoizationPolicy\n- name: FormPolicy\n")
    found = config.load(file)
    assert [type(policy) for policy in found] == [KerasPolicy, MemoizationPolicy, RulePolicy]
    file.write_text("policies: [{name: FallbackPolicy, core_threshold: 0.2}, MappingPolicy]\n")
    fallback, rules = config.load(file)
    assert isinstance(fallback, FallbackPolicy)
    assert (fallback.core_threshold, fallback.fallback_action_name) == (0.2, "action_default_fallback")
    assert isinstance(rules, RulePolicy)
    assert [type(policy) for policy in config.load(None, max_history=2)] == [MemoizationPolicy, KerasPolicy]


def test_options_of_training_may_be_given_to_the_network() -> None:
    policy = KerasPolicy(max_history=3, epochs=2, batch_size=50, random_seed=1)
    assert policy.max_history == 3
    options = policy._options({"batch_size": 8, "epochs": None})
    assert (options["epochs"], options["batch_size"], options["seed"]) == (2, 8, 1)
    with pytest.raises(TypeError, match=r"KerasPolicy has no option 'epoch'\. Did you mean 'epochs'"):
        KerasPolicy(epoch=3)


def test_interactive_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bot(tmp_path)
    agent = Agent(tmp_path / "weather_domain.yml", policies=[MemoizationPolicy()], action_endpoint={"url": "http://a"})
    agent.train(agent.load_data(tmp_path / "stories.md"))
    lines: list[Any] = ["0", "0"]
    monkeypatch.setattr("builtins.input", lambda prompt="": lines.pop())
    interactive.run_interactive_learning(agent, tmp_path / "stories.md")
    assert "Nothing was taught." in capsys.readouterr().out
    assert online.serve_agent is not None


@pytest.mark.parametrize("name", ["facebook", "mattermost", "slack", "telegram", "twilio"])
def test_what_to_do_without_a_connector(name: str) -> None:
    with pytest.raises(ImportError, match=rf"rasa_core\.channels\.{name}: the connector is left out\. Write an Input"):
        importlib.import_module(f"rasa_core.channels.{name}")


@pytest.mark.parametrize(
    ("module", "told"),
    [
        ("nlg", "They stand in the domain"),
        ("nlg.template", "They stand in the domain"),
        ("broker", r"Agent\(\.\.\.\)\.on_commit is called"),
        ("cli", "or rasa-core --help"),
        ("test", "use rasa_core.evaluate"),
        ("channels.callback", "POST /webhooks/rest/webhook"),
        ("channels.socketio", "POST /webhooks/rest/webhook"),
        ("channels.rocketchat", "the connector is left out"),
        ("channels.botframework", "the connector is left out"),
        ("channels.hangouts", "the connector is left out"),
    ],
)
def test_what_to_do_without_a_module(module: str, told: str) -> None:
    with pytest.raises(ImportError, match=told):
        importlib.import_module(f"rasa_core.{module}")


def test_what_to_do_without_a_name() -> None:
    for path, told in later._NAMES.items():
        module, _, name = path.rpartition(".")
        with pytest.raises(ImportError, match=f"^{re.escape(f'rasa_core.{path} is not here: {told}')}"):
            exec(f"from rasa_core.{module} import {name}", {})
        with pytest.raises(ImportError, match="cannot import name 'nonsense'"):
            exec(f"from rasa_core.{module} import nonsense", {})


NAMES: Final = """
rasa_core.actions.action: ACTION_DEFAULT_FALLBACK_NAME
rasa_core.channels.channel: CollectingOutputChannel
rasa_core.constants: DEFAULT_CORE_FALLBACK_THRESHOLD DEFAULT_FALLBACK_ACTION DEFAULT_NLU_FALLBACK_THRESHOLD
rasa_core.constants: DEFAULT_REQUEST_TIMEOUT DEFAULT_SERVER_FORMAT DEFAULT_SERVER_PORT DEFAULT_SERVER_URL
rasa_core.constants: INTENT_MESSAGE_PREFIX REQUESTED_SLOT USER_INTENT_RESTART
rasa_core.domain: InvalidDomain
rasa_core.policies: EmbeddingPolicy FormPolicy MappingPolicy TwoStageFallbackPolicy
rasa_core.training.generator: TrackerWithCachedStates
"""


def test_names_that_stand_for_something() -> None:
    for line in NAMES.strip().splitlines():
        module, names = line.split(": ")
        assert [name for name in names.split() if not hasattr(importlib.import_module(module), name)] == []


def test_the_scores_of_a_policy_that_is_sure_of_one_action() -> None:
    domain = Domain.from_yaml("intents: [hi]\ntemplates: {utter_hi: [hi]}\nactions: [utter_hi]")
    assert confidence_scores_for("utter_hi", 0.7, domain) == [0.0, 0.0, 0.7]


class Page(InputChannel):
    """A channel as Rasa Core 0.11 had them."""

    @classmethod
    def name(cls) -> str:
        return "page"

    def blueprint(self, on_new_message: Any) -> Any:
        page = flask.Blueprint("page", __name__)

        @page.route("/webhook", methods=["POST"])
        def receive() -> Any:
            answers = CollectingOutputChannel()
            on_new_message(UserMessage(flask.request.get_json()["message"], answers, "anna"))
            return flask.jsonify(answers.messages)

        return page


def test_channels_with_pages_are_served_below_their_names(tmp_path: Path) -> None:
    agent = Agent(
        str(bot(tmp_path) / "weather_domain.yml"), [MemoizationPolicy()], action_endpoint="http://127.0.0.1:9"
    )
    agent.train(agent.load_data(tmp_path / "stories.md"))
    port = free_port()

    agent.handle_channels([Page()], http_port=port, serve_forever=False)

    until(lambda: listens(port))
    request = Request(f"http://127.0.0.1:{port}/webhooks/page/webhook", b'{"message": "/greet"}', JSON)
    with urlopen(request) as response:
        assert json.load(response) == [{"recipient_id": "anna", "text": "Good day"}]


def test_channels_without_pages_are_handled_until_they_end(tmp_path: Path) -> None:
    agent = Agent(
        str(bot(tmp_path) / "weather_domain.yml"), [MemoizationPolicy()], action_endpoint="http://127.0.0.1:9"
    )
    agent.train(agent.load_data(tmp_path / "stories.md"))
    (tmp_path / "said").write_text("/greet\n", encoding="utf-8")
    heard = [CollectingOutputChannel(), CollectingOutputChannel()]

    agent.handle_channels(FileInputChannel(str(tmp_path / "said"), heard[0]))
    agent.handle_channels([FileInputChannel(str(tmp_path / "said"), one) for one in heard])

    assert [len(one.messages) for one in heard] == [2, 1]


def test_what_to_do_without_scikit_learn() -> None:
    with pytest.raises(ImportError, match=r"SklearnPolicy is left out.*Train a KerasPolicy"):
        importlib.import_module("rasa_core.policies.sklearn_policy")


def test_run_takes_the_action_server_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bot(tmp_path, **{"endpoints.yml": ENDPOINTS, "bad.yml": "action_endpoint: 7\n"}))
    agent = Agent("weather_domain.yml", policies=[MemoizationPolicy()])
    agent.train(agent.load_data("stories.md"))
    agent.persist("models/dialogue")
    flags = ["-d", "models/dialogue", "--endpoints"]
    told = CliRunner().invoke(command, [*flags, "endpoints.yml"], input="/greet\n/rain\n")
    assert "Good day" in told.output
    assert "gave no answer to 'action_rain'" in (tmp_path / "rasa_core.log").read_text()
    told = CliRunner().invoke(command, [*flags, "bad.yml"])
    assert "bad.yml:1: action_endpoint: has the url: of the server." in told.output
    assert told.exit_code == 1


POLICIES: Final = "policies:\n- name: MemoizationPolicy\n  max_history: 4\n"
FALLBACK: Final = "- name: FallbackPolicy\n  nlu_threshold: 0.4\n  fallback_action_name: action_default_fallback\n"


@pytest.mark.parametrize(
    ("more", "kinds"),
    [
        (FALLBACK, ["MemoizationPolicy", "FallbackPolicy"]),
        ("- name: FormPolicy\n", ["RulePolicy", "RasaMappingPolicy", "MemoizationPolicy"]),
    ],
)
@pytest.mark.parametrize("way", [[], ["default"]])
def test_train_takes_the_policies_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str, kinds: list[str], way: list[str]
) -> None:
    monkeypatch.chdir(bot(tmp_path, **{"policies.yml": POLICIES + more, "endpoints.yml": ENDPOINTS}))
    flags = ["-d", "weather_domain.yml", "-s", "stories.md", "-o", "models/dialogue", "-c", "policies.yml"]
    told = CliRunner().invoke(train_command, [*way, *flags, "--endpoints", "endpoints.yml"])
    assert told.exit_code == 0, told.output
    assert ("policies.yml:4: FormPolicy: replaced by RulePolicy" in told.output) is ("FormPolicy" in more)
    agent = Agent.load("models/dialogue")
    assert [type(policy).__name__ for policy in agent.policy_ensemble.policies] == kinds
    assert next(one for one in agent.policy_ensemble.policies if type(one) is MemoizationPolicy).max_history == 4


def test_train_interactive_teaches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bot(tmp_path, **{"policies.yml": POLICIES, "endpoints.yml": ENDPOINTS}))
    flags = ["-d", "weather_domain.yml", "-s", "stories.md", "-o", "models/dialogue", "-c", "policies.yml"]
    told = CliRunner().invoke(train_command, ["interactive", *flags], input="/stop\n")
    assert told.exit_code == 0, told.output
    assert "Talk to the bot. Before each of its actions" in told.output
    assert "the model is in models/dialogue." in told.output


def test_stories_that_are_named_are_trained_on_after_teaching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bot(tmp_path, **{"endpoints.yml": ENDPOINTS}))
    agent = Agent("weather_domain.yml", policies=[MemoizationPolicy()])
    lines = iter(["/greet", "1", "1", "/rain", "/stop", "taught.md", "y"])
    monkeypatch.setattr("builtins.input", lambda prompt="": next(lines))
    with pytest.warns(DeprecationWarning, match="train takes trackers"):
        agent.train_online("stories.md")  # type: ignore[arg-type]
    assert "* greet" in (tmp_path / "taught.md").read_text()
    assert agent.handle_text("/greet", sender_id="new") == [{"recipient_id": "new", "text": "Good day"}]


@pytest.mark.parametrize("way", [["--enable_api", "--cors", "*"], ["-c", "rest"]])
def test_run_serves_as_in_later_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: list[str]) -> None:
    monkeypatch.chdir(bot(tmp_path, **{"endpoints.yml": ENDPOINTS}))
    agent = Agent("weather_domain.yml", policies=[MemoizationPolicy()])
    agent.train(agent.load_data("stories.md"))
    agent.persist("models/dialogue")
    port = free_port()
    command = [sys.executable, "-m", "rasa_core.run", "-d", "models/dialogue", "--endpoints", "endpoints.yml", *way]
    with subprocess.Popen([*command, "-p", str(port)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        try:
            until(lambda: listens(port))
            request = Request(f"http://127.0.0.1:{port}/conversations/a/respond", b'{"query": "/greet"}')
            with urlopen(request) as answer:
                assert json.load(answer)[0]["text"] == "Good day"
        finally:
            process.terminate()


def test_visualize_takes_a_file_of_policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bot(tmp_path, **{"policies.yml": POLICIES, "endpoints.yml": ENDPOINTS}))
    flags = ["-d", "weather_domain.yml", "-s", "stories.md", "-c", "policies.yml", "-o", "graph.html"]
    assert CliRunner().invoke(visualize_command, flags).exit_code == 0
    assert "action_rain" in (tmp_path / "graph.html").read_text()


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"action_endpoint: {port: 5}\n", r"e\.yml:1"),
        (b"action_endpoint: [", r"e\.yml:\d"),
        ("action_endpoint: {url: x}\n".encode("utf-16"), r"e\.yml:1"),
        (None, r"e\.yml"),
    ],
    ids=["no address", "no YAML", "UTF-16", "no file"],
)
def test_wrong_files_of_endpoints_are_told_with_their_place(content: bytes | None, place: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "e.yml").write_bytes(content)
    with pytest.raises(RasaCoreError, match=place):
        read_endpoint_config(tmp_path / "e.yml", "action_endpoint")


def test_a_file_of_policies_that_is_named_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(RasaCoreError, match=r"none\.yml: there is no such file"):
        config.load(tmp_path / "none.yml")
