"""What docs/tutorial.md says works: its own files and commands, in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts.airflow_api import poll
from scripts.processes import LoggedProcess, free_port

# Each of its Airflow commands takes 10 s and more on a busy machine.
pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "tutorial.md").read_text()
COMMANDS = re.findall(r"```bash\n(.*?)```", PAGE, flags=re.DOTALL)
# The name of a file, and the block that follows it.
FILES = re.findall(r"^`((?:dags|dbt)/\S+)`:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)


def command(part: str) -> str:
    """Return the first commands of the tutorial that contain *part*."""
    return next(each for each in COMMANDS if part in each)


def without_installation(commands: str) -> str:
    """Return *commands* without those that make the environment in which this test runs."""
    prefixes = ("python3 -m venv", "source venv", "pip install")
    return "".join(f"{line}\n" for line in commands.splitlines() if not line.startswith(prefixes))


class Newcomer:
    """Somebody with the two terminals of the tutorial, in an empty folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        own_paths = [str(Path(sys.executable).parent), os.environ["PATH"]]
        mine = ("AIRFLOW", "AIRBYTE", "DBT", "DUCKDB")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(mine)},
            "PATH": os.pathsep.join(own_paths),
            "PYTHONPATH": str(REPOSITORY),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "False",
        }
        self._port = free_port()
        self._setup = without_installation(command("pip install"))
        for name, text in FILES:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def run(self, commands: str) -> str:
        """Run *commands* in the first terminal, and return what they print."""
        script = self._setup + commands
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    def connect(self) -> None:
        """Set up what later commands need, in the first terminal."""
        self._setup = self._setup.replace("airflow db migrate\n", "")
        self._setup += command("AIRFLOW_VAR_AIRBYTE_CONNECTION_ID")

    @contextmanager
    def emulator(self, commands: str) -> Iterator[None]:
        """Leave *commands* running in the second terminal, with short syncs and a free port."""
        ready = self.folder / "airbyte.json"
        ready.unlink(missing_ok=True)
        shorter = f"--sync-duration 1 --port {self._port}"
        line = re.sub(r"--sync-duration \d+", shorter, without_installation(commands).strip())
        process = LoggedProcess(
            "emulator",
            ["bash", "-c", f"exec {line}"],
            environment=self.environment,
            log=self.folder / "emulator.log",
            folder=self.folder,
        )
        process.start()
        try:
            poll(lambda: ready.exists() and ready.stat().st_size, timeout=60, what="the emulator")
            yield
        finally:
            process.terminate()
            process.wait_until_stopped()


@pytest.fixture
def newcomer(tmp_path: Path) -> Newcomer:
    return Newcomer(tmp_path)


def test_dbt_is_gated_by_the_sync(newcomer: Newcomer) -> None:
    assert "Database migration done" in newcomer.run("")
    run, look = command("airflow dags test"), command("duckdb.connect")

    with newcomer.emulator(command("--state-file")):
        newcomer.connect()
        assert "Connection success!" in newcomer.run(command("connections test"))
        first = newcomer.run(run)
        assert "succeeded with 100 rows" in first
        assert "PASS=1" in first
        assert "state=success" in first
        assert re.search(r"│ +1 │ +100 │", newcomer.run(look))

    with newcomer.emulator(command("--rows 0")):
        second = newcomer.run(run)
        assert "succeeded with 0 rows, fewer than min_rows=1" in second
        assert "PASS=1" not in second
        assert "state=failed" in second
        assert re.search(r"│ +1 │ +100 │", newcomer.run(look))
