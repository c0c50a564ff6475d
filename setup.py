"""Metadata of the distribution; the tools' settings stand in pyproject.toml."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r'__version__ = "([^"]+)"', (ROOT / "rasa_core" / "version.py").read_text(encoding="utf-8"))[1]

TRAIN = ["keras>=3.4", "jax>=0.4.30", "scipy>=1.11"]
SQL = ["SQLAlchemy>=2.0", "psycopg[binary]>=3.2"]
MYSQL = [*SQL, "PyMySQL>=1.1"]
REDIS = ["redis>=6"]
PLOT = ["resvg-py>=0.5"]
JWT = ["PyJWT>=2.8"]
METRICS = ["prometheus_client>=0.20"]
DOCS = ["furo>=2025.7", "sphinx>=8.1"]
BENCHMARK = ["scikit-learn>=1.4"]
TEST = [
    *TRAIN,
    *MYSQL,
    *PLOT,
    *REDIS,
    *JWT,
    *METRICS,
    "build",
    "cryptography",
    "django",
    "docutils",
    "flask",
    "gunicorn",
    "hypothesis",
    "mypy",
    "pytest",
    "pytest-cov",
    "pytest-xdist",
    "rasa-sdk; python_version < '3.14'",
    "ruff",
    "schemathesis>=4.20,<5",
    "selenium",
    "types-PyYAML",
    "waitress",
]
EXAMPLES = "rasa_core.examples"  # So that `rasa-core init` has them without a checkout.


def example_files() -> list[str]:
    """Return the files of the examples, without what training and running make."""
    folder = ROOT / "examples"
    files = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file())
    return [str(path) for path in files if not {"models", "__pycache__"} & set(path.parts)]


setup(
    name="rasa-core",
    version=VERSION,
    description="Decides what a bot does next: trained from stories, served over HTTP to code in any language",
    long_description=(ROOT / "README.rst").read_text(encoding="utf-8"),
    long_description_content_type="text/x-rst",
    license="Apache-2.0",
    keywords="dialogue bot chatbot conversation stories policy",
    packages=[*find_packages(include=["rasa_core", "rasa_core.*"]), EXAMPLES],
    package_dir={EXAMPLES: "examples"},
    package_data={
        "rasa_core": ["py.typed", "server/inspector/static/*", "server/api/static/*"],
        EXAMPLES: example_files(),
    },
    python_requires=">=3.11",
    install_requires=[
        "click>=8.1",
        "google-re2>=1.1",
        "granian>=2.8,<3",
        "numpy>=1.26",
        "orjson>=3.10",
        "PyYAML>=6.0",
        "regex>=2024.4",
        "urllib3>=2",
        "Werkzeug>=3.0",
    ],
    extras_require={
        "train": TRAIN,
        "sql": SQL,
        "mysql": MYSQL,
        "redis": REDIS,
        "plot": PLOT,
        "jwt": JWT,
        "metrics": METRICS,
        "benchmark": BENCHMARK,
        "docs": DOCS,
        "test": TEST,
    },
    entry_points={
        "console_scripts": [
            "rasa-core = rasa_core.commands:console",
            "rasa-core-serve = rasa_core.commands:console_serve",
        ]
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Developers",
        "Operating System :: POSIX :: Linux",
        "Operating System :: MacOS",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
        "Topic :: Software Development :: Libraries",
        "Typing :: Typed",
    ],
)
