"""What docs/tutorial.md says works: its own files and commands, in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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
        done = subprocess.run(
            ["bash", "-c", self._setup + commands],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    @contextmanager
    def running(self, commands: str) -> Iterator[LoggedProcess]:
        """Run *commands* in the first terminal, and watch what they print."""
        # In a terminal, grep prints each line at once.
        script = self._setup + commands.replace("grep ", "grep --line-buffered ")
        with self._process("terminal", script) as process:
            yield process

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
        with self._process("emulator", f"exec {line}"):
            poll(lambda: ready.exists() and ready.stat().st_size, timeout=60, what="the emulator")
            yield

    @contextmanager
    def _process(self, name: str, script: str) -> Iterator[LoggedProcess]:
        process = LoggedProcess(
            name,
            ["bash", "-c", script],
            environment=self.environment,
            log=self.folder / f"{name}.log",
            folder=self.folder,
        )
        process.start()
        try:
            yield process
        finally:
            process.terminate()
            process.wait_until_stopped()


@pytest.fixture
def newcomer(tmp_path: Path) -> Newcomer:
    return Newcomer(tmp_path)


def test_dbt_is_gated_by_the_sync_and_an_outage_is_survived(newcomer: Newcomer) -> None:
    assert "Database migration done" in newcomer.run("")
    run, look = command("airflow dags test"), command("duckdb.connect")

    # The first run is also that of the last step, as each takes Airflow half a minute.
    with ExitStack() as terminal, ExitStack() as second_terminal:
        second_terminal.enter_context(newcomer.emulator(command("--state-file")))
        newcomer.connect()
        assert "Connection success!" in newcomer.run(command("connections test"))
        first = terminal.enter_context(newcomer.running(run))
        poll(lambda: "Job 1 " in first.output, timeout=180, what="the sync")
        second_terminal.close()
        poll(lambda: "Retrying in" in first.output, timeout=60, what="an outage")
        second_terminal.enter_context(newcomer.emulator(command("--state-file")))
        poll(lambda: first.exit_code is not None, timeout=180, what="dbt")
        output = first.output
    assert re.search(r"Retrying in \S+ s: No response to GET \S+/jobs/1: ", output)
    assert "Started sync job 2" not in output
    assert "succeeded with 100 rows" in output
    assert "PASS=1" in output
    assert "state=success" in output
    assert re.search(r"│ +1 │ +100 │", newcomer.run(look))

    with newcomer.emulator(command("--rows 0")):
        second = newcomer.run(run)
        assert "succeeded with 0 rows, fewer than min_rows=1" in second
        assert "PASS=1" not in second
        assert "state=failed" in second
        assert re.search(r"│ +1 │ +100 │", newcomer.run(look))
