"""Size of the install that serves, in a new environment: ``python -m benchmarks.install_size``."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.serving import ROOT
from benchmarks.tables import print_table


def megabytes(folder: Path) -> float:
    """Return the size of all files below `folder`, compiled ones left out."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc") / 1e6


def main() -> None:
    """Install, measure, and print the table."""
    with tempfile.TemporaryDirectory() as name:
        subprocess.run([sys.executable, "-m", "venv", name], check=True)
        python = Path(name, "bin", "python")
        site = next(Path(name, "lib").glob("python*/site-packages"))
        before = megabytes(site)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-compile", str(ROOT)], check=True)
        listed = subprocess.run([python, "-m", "pip", "list", "--format", "json"], check=True, capture_output=True)
        packages = [package for package in json.loads(listed.stdout) if package["name"] not in ("pip", "setuptools")]
        rows = [[package["name"], package["version"]] for package in packages]
        total = megabytes(site) - before
        own = megabytes(site / "rasa_core")
    print_table("Packages of the serving install", ["package", "version"], rows)
    print(f"{len(packages)} packages, {total:.1f} MB, of which rasa_core {own:.2f} MB")


if __name__ == "__main__":
    main()
