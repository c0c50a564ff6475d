"""The packages of each extra, which an error names if an import of them has failed.

The error does not name the extra, as in ``NAME[train]``: where this package is not installed, as in a checkout, pip
would look for the name, and the package index has an older project under it.
"""

from __future__ import annotations

import shlex
from typing import Final

PACKAGES: Final = {
    "train": ("keras", "jax", "scipy"),
    "sql": ("SQLAlchemy", "psycopg[binary]"),
    "mysql": ("SQLAlchemy", "psycopg[binary]", "PyMySQL"),
    "redis": ("redis",),
    "plot": ("resvg-py",),
    "jwt": ("PyJWT",),
    "metrics": ("prometheus_client",),
}


def installing(extra: str) -> str:
    """Return the command that installs the packages of an extra."""
    return f"pip install {shlex.join(PACKAGES[extra])}"
