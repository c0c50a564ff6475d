"""The packages that errors tell users to install are the packages of the extras."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from rasa_core.support.extras import PACKAGES, installing

ROOT = Path(__file__).resolve().parents[2]


def lists_of_setup() -> dict[str, list[str]]:
    """Return the lists of requirements in `setup.py`, by their names, without versions."""
    found: dict[str, list[str]] = {}
    for part in ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")).body:
        if isinstance(part, ast.Assign) and isinstance(part.value, ast.List) and isinstance(part.targets[0], ast.Name):
            names = []
            for element in part.value.elts:
                if isinstance(element, ast.Starred):
                    names += found[ast.unparse(element.value)]
                else:
                    names.append(re.split("[<>=;]", ast.literal_eval(element))[0])
            found[part.targets[0].id] = names
    return found


def test_the_packages_of_an_extra_are_those_of_the_setup() -> None:
    lists = lists_of_setup()
    assert {extra: list(packages) for extra, packages in PACKAGES.items()} == {
        extra: lists[extra.upper()] for extra in PACKAGES
    }


def test_the_command_can_be_typed_in_a_shell() -> None:
    assert installing("train") == "pip install keras jax scipy"
    assert installing("sql") == "pip install SQLAlchemy 'psycopg[binary]'"
