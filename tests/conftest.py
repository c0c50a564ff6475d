"""Set-up of all tests: this folder on the import path (`strategies`), and the settings of Hypothesis.

With the environment variable ``RASA_CORE_TEST_SKIPPED``, the ids of skipped tests go into the file that it names, so
that they can be run where nothing is missing.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings
from small_disk import small_disk as small_disk
from story_fixtures import domain as domain
from story_fixtures import generate as generate
from story_fixtures import read as read
from story_fixtures import sample_data as sample_data

# Whoever distributes the tests tells the width of a terminal that none of them has.
os.environ.pop("COLUMNS", None)

_COMPILED = "JAX_COMPILATION_CACHE_DIR"
_TRAININGS = "RASA_CORE_TEST_TRAININGS"


def pytest_configure(config: pytest.Config) -> None:
    """Let all processes of this run share what was trained, and what JAX has compiled for networks of one shape.

    What ignores SIGINT, as a script does with what it starts with ``&``, hands that on to servers that tests interrupt.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if _TRAININGS in os.environ and _COMPILED in os.environ:
        return
    folder = tempfile.mkdtemp(prefix="rasa-core-tests-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    os.environ.setdefault(_TRAININGS, folder)
    if _COMPILED not in os.environ:
        os.environ[_COMPILED] = os.path.join(folder, "compiled")
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"


@pytest.fixture(scope="module")
def brief_trainings() -> Iterator[None]:
    """Train networks on few stories and messages for a moment only, in tests that do not need their quality."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rasa_core.policies.network_batches.PASSES", 60)
        patch.setattr("rasa_core.nlu.training._FEWEST_STEPS", 40)
        yield


@pytest.fixture(scope="session", autouse=True)
def quiet_housekeepers() -> None:
    """Let no application that outlives its test write into the log of a later one: all share one logger."""
    from rasa_core.server.served_model import Housekeeper

    Housekeeper.__init__.__kwdefaults__["first"] = 1e6


settings.register_profile("local", deadline=None)
settings.register_profile(
    "ci", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci" if os.environ.get("CI") else "local")


_LONG = (
    *("test_documents", "test_inspector_loops", "test_train_over_http", "test_nlu_training", "test_inspector_page"),
    *("test_launcher", "test_clients", "test_processes", "test_openapi_fuzzed", "test_inspector_week"),
    *("test_nlu_model", "test_keras_policy", "test_same_bytes", "test_restaurant", "test_served_pipeline"),
    *("test_crashes_and_races", "test_inspector_candidate", "test_action_server_crash", "test_reminders"),
    *("test_whole_project", "test_checks", "test_keras_architectures", "test_network_training", "test_train"),
    *("test_project", "test_evaluate", "test_distribution", "test_nlu_commands", "test_layouts", "test_rough_ends"),
    *("test_webhook", "test_failures_over_http", "test_transfer", "test_redis_failures", "test_sql_failures"),
)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Let every other process read the files from the end, since each keeps what it compiles for the others."""
    report = yield
    if os.environ.get("PYTEST_XDIST_WORKER", "gw0")[-1] in "13579" and isinstance(collector, pytest.Directory):
        report.result.reverse()
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest: else one process is left alone with the last of them at the end."""
    order = {name: place for place, name in enumerate(_LONG)}
    items.sort(key=lambda item: (order.get(item.path.stem, len(order)), item.path))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Record a skipped test, in the process that collects the results of all others."""
    path = os.environ.get("RASA_CORE_TEST_SKIPPED")
    if path and report.skipped and "PYTEST_XDIST_WORKER" not in os.environ:
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"{report.nodeid}\n")
