"""Imports run one way: a module may import from its own layer and from those below it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "rasa_core"

# From the bottom up. A name stands for a module, or for a package with all that is in it.
LAYERS = [
    ["exceptions", "version", "progress"],
    ["http_transport", "directories"],
    ["event_base", "events"],
    ["slots", "conversation", "event_log", "history"],
    ["actions", "dispatcher", "channels", "domain_file"],
    ["domain"],
    ["trackers"],
    ["state_featurizers", "featurizers", "history_featurizer", "feature_parts", "conversation_rows"],
    ["policies", "training", "tracker_store", "nlu", "interpreter"],
    ["turn", "processor", "model"],
    ["explanation"],
    ["agent"],
    ["remote", "remote_calls", "project"],
    ["_store_arguments", "_store_output", "_evaluate_arguments"],
    [
        "server",
        "train",
        "check",
        "run",
        "evaluate",
        "visualize",
        "restore",
        "store",
        "_commands",
        "utils",
        "nlu_commands",
    ],
    ["cli"],
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}

SERVING_ONLY = {"werkzeug", "granian", "wsgiref"}
TRAINING_ONLY = {"keras", "jax", "tensorflow", "torch"}
TRAINING_CODE = {"policies.keras_policy", "policies.keras_training"}
# What evaluates and teaches stands above the turns, though it lives among the stories that it is about.
ABOVE_THE_AGENT = {"training.evaluation", "training.cross_validation", "training.measurements", "training.online"}


def modules() -> list[str]:
    names = (path.relative_to(PACKAGE).with_suffix("").parts for path in sorted(PACKAGE.rglob("*.py")))
    return [".".join(parts) for parts in names if parts != ("__init__",)]


def path_of(module: str) -> Path:
    return PACKAGE.joinpath(*module.split(".")).with_suffix(".py")


def imports_of(module: str) -> Iterator[tuple[str, bool, int]]:
    """Yield imported names, whether the import stands inside a function, and its line; those for types are left out."""

    def walk(node: ast.AST, inside: bool) -> Iterator[tuple[str, bool, int]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            if isinstance(child, ast.Import):
                yield from ((alias.name, inside, child.lineno) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{module}: imports are absolute"
                yield from ((f"{child.module}.{alias.name}", inside, child.lineno) for alias in child.names)
            else:
                yield from walk(child, inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))

    yield from walk(ast.parse(path_of(module).read_text(encoding="utf-8")), False)


def test_every_module_has_a_layer() -> None:
    assert sorted({module.split(".")[0] for module in modules()} - set(RANK)) == []
    assert sorted(set(RANK) - {module.split(".")[0] for module in modules()}) == []


@pytest.mark.parametrize("module", modules())
def test_imports_point_down(module: str) -> None:
    if module in ABOVE_THE_AGENT:
        return
    rank = RANK[module.split(".")[0]]
    for name, _, line in imports_of(module):
        if name.startswith("rasa_core."):
            target = name.split(".")[1]
            if target in RANK:
                assert RANK[target] <= rank, f"{path_of(module)}:{line} imports {name} from above"


@pytest.mark.parametrize("module", modules())
def test_nothing_below_the_server_knows_http_servers(module: str) -> None:
    if module.split(".")[0] in ("server", "cli"):
        return
    for name, _, line in imports_of(module):
        assert name.split(".")[0] not in SERVING_ONLY, f"{path_of(module)}:{line}"


@pytest.mark.parametrize("module", modules())
def test_keras_is_imported_where_it_trains_and_only_when_it_trains(module: str) -> None:
    for name, inside, line in imports_of(module):
        if name.split(".")[0] in TRAINING_ONLY:
            assert module in TRAINING_CODE, f"{path_of(module)}:{line}"
            assert inside, f"{path_of(module)}:{line}"
