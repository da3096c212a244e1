import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest


@dataclass(frozen=True)
class Wheel:
    """A built wheel and its content."""

    path: Path

    @property
    def files(self) -> dict[str, bytes]:
        with ZipFile(self.path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    @property
    def metadata(self) -> Message:
        (text,) = (
            content for name, content in self.files.items() if name.endswith(".dist-info/METADATA")
        )
        return HeaderParser().parsestr(text.decode())


@pytest.fixture(scope="session")
def project(pytestconfig: pytest.Config) -> Path:
    return pytestconfig.rootpath


@pytest.fixture(scope="session")
def pyproject(project: Path) -> dict[str, Any]:
    return tomllib.loads((project / "pyproject.toml").read_text())


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path, str], Path]:
    """Build a distribution from a source tree: ``build(tree, "wheel")``."""

    def run(source: Path, kind: str) -> Path:
        output = tmp_path_factory.mktemp(kind)
        # No isolation: use the pinned build backend, without access to a package index.
        command = [sys.executable, "-m", "build", "--no-isolation", f"--{kind}"]
        subprocess.run([*command, "--outdir", output, source], check=True, capture_output=True)
        (distribution,) = output.iterdir()
        return distribution

    return run


@pytest.fixture(scope="session")
def wheel(build: Callable[[Path, str], Path], project: Path) -> Wheel:
    return Wheel(build(project, "wheel"))


@pytest.fixture
def modules_loaded_by() -> Callable[[str], set[str]]:
    """Run a statement in a new interpreter and return the names of the modules it has loaded."""

    def run(statement: str) -> set[str]:
        script = f"import sys\n{statement}\nprint(*sys.modules, sep='\\n')"
        process = subprocess.run(
            [sys.executable, "-c", script], check=True, capture_output=True, text=True
        )
        return set(process.stdout.splitlines())

    return run
