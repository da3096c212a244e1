"""The command ``migrate``, as its user sees it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_airbyte_sme.cli.main import main
from airflow_provider_airbyte_sme.migration.official import DEFAULT_CONN_ID
from airflow_provider_airbyte_sme.migration.reasons import DOCUMENT, Reason

REPOSITORY = Path(__file__).resolve().parents[3]
IMPORT = "from airflow.providers.airbyte.{0}s.airbyte import Airbyte{1}\n"
OFFICIAL = IMPORT.format("hook", "Hook") + "AirbyteHook().cancel_job(1)  # é\n"
OURS = (
    "from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook\n"
    f'AirbyteHook(airbyte_conn_id="{DEFAULT_CONN_ID}").cancel_job(1)  # é\n'
)
OTHER = "import os\n"


@pytest.fixture
def dags(tmp_path) -> Path:
    folder = tmp_path / "dags"
    (folder / "inner").mkdir(parents=True)
    (folder / "one.py").write_text(OFFICIAL)
    (folder / "inner/two.py").write_text(OFFICIAL)
    (folder / "other.py").write_text(OTHER)
    (folder / "notes.txt").write_text(OFFICIAL)
    return folder


def migrate(*arguments: object) -> int:
    return main(["migrate", *map(str, arguments)])


def test_without_write_there_is_a_diff_and_no_file_changes(dags, capsys):
    assert migrate(dags) == 0

    output = capsys.readouterr()
    assert output.out.count("+from airflow_provider_airbyte_sme.hooks.airbyte import") == 2
    assert output.err.endswith(
        "would change 2 of 3 files, 0 comments to look at; add --write to change them\n"
    )
    assert (dags / "one.py").read_text() == OFFICIAL


def test_the_diff_can_be_applied(dags, capfdbinary, monkeypatch):
    (dags / "one.py").write_bytes(OFFICIAL.rstrip("\n").replace("\n", "\r\n").encode())
    monkeypatch.chdir(dags)
    migrate(".")
    diff = capfdbinary.readouterr().out

    subprocess.run(["git", "apply", "--directory=", "-"], input=diff, check=True, cwd=dags)

    expected = OURS.rstrip("\n").replace("\n", "\r\n").encode()
    assert (dags / "one.py").read_bytes() == expected
    assert (dags / "inner/two.py").read_text() == OURS


def test_with_write_files_change_once(dags, capsys):
    assert migrate(dags, "--write") == 0
    assert (dags / "one.py").read_text() == (dags / "inner/two.py").read_text() == OURS
    assert (dags / "other.py").read_text() == OTHER
    assert (dags / "notes.txt").read_text() == OFFICIAL
    assert sorted(path.name for path in dags.iterdir()) == [
        "inner",
        "notes.txt",
        "one.py",
        "other.py",
    ]
    capsys.readouterr()

    assert migrate(dags, "--write") == 0
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == "changed 0 of 3 files, 0 comments to look at\n"


@pytest.mark.parametrize("also", [None, subprocess.STDOUT])
def test_a_reader_that_stops_early_ends_the_command_without_a_message(dags, also):
    command = [sys.executable, "-m", "airflow_provider_airbyte_sme", "migrate", dags]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}

    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=also or subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        message = process.stderr.read() if process.stderr else b""

    assert (message, process.returncode) == (b"", 128 + signal.SIGPIPE)


def test_a_file_that_is_not_touched_is_not_written(dags):
    before = (dags / "other.py").stat()
    migrate(dags, "--write")
    after = (dags / "other.py").stat()

    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_permissions_and_links_stay(dags):
    (dags / "one.py").chmod(0o754)
    (dags / "link.py").symlink_to("one.py")

    migrate(dags / "link.py", "--write")

    assert (dags / "one.py").stat().st_mode & 0o7777 == 0o754
    assert (dags / "link.py").is_symlink()
    assert (dags / "one.py").read_text() == OURS


def test_a_file_that_is_named_twice_is_changed_once(dags, capsys):
    migrate(dags, dags / "one.py", dags / "inner")

    assert "would change 2 of 3 files" in capsys.readouterr().err


@pytest.mark.parametrize("folder", [".hidden", "__pycache__", "venv", "site-packages"])
def test_folders_that_hold_no_dags_are_left_out(dags, folder, capsys):
    (dags / folder).mkdir()
    (dags / folder / "three.py").write_text(OFFICIAL)

    migrate(dags)

    assert "would change 2 of 3 files" in capsys.readouterr().err


def test_an_environment_is_left_out_whatever_its_name(dags, capsys):
    (dags / "env").mkdir()
    (dags / "env/pyvenv.cfg").touch()
    (dags / "env/three.py").write_text(OFFICIAL)

    migrate(dags)

    assert "would change 2 of 3 files" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"{OFFICIAL}def (:\n".encode(), "is not valid Python 3, line 3: "),
        (f"# coding: utf-8\n{OFFICIAL}".encode("latin-1"), "cannot be decoded: "),
        (f"# coding: klingon\n{OFFICIAL}".encode(), "cannot be decoded: "),
    ],
)
def test_a_broken_file_is_named_and_the_others_change(dags, content, message, capsys):
    (dags / "broken.py").write_bytes(content)

    assert migrate(dags, "--write") == 1

    output = capsys.readouterr()
    assert f"error: {dags / 'broken.py'} {message}" in output.err
    assert output.err.endswith("changed 2 of 4 files, 0 comments to look at, 1 file not migrated\n")
    assert (dags / "broken.py").read_bytes() == content
    assert (dags / "one.py").read_text() == OURS


@pytest.mark.parametrize(
    "code",
    [
        f"x = {'(' * 5000}1{')' * 5000}",
        f"x = {' + '.join('a' * 5000)}",
        f"x = {'not ' * 5000}1",
    ],
    ids=["brackets", "sum", "not"],
)
def test_a_file_that_is_nested_too_deeply_is_named_and_the_others_change(dags, code, capsys):
    (dags / "deep.py").write_text(f"{OFFICIAL}{code}\n")

    assert migrate(dags, "--write") == 1

    assert capsys.readouterr().err.splitlines()[0] == (
        f"error: {dags / 'deep.py'} cannot be rewritten: its code is nested too deeply"
    )
    assert (dags / "one.py").read_text() == OURS


def test_as_many_brackets_as_python_accepts_are_rewritten(dags):
    (dags / "deep.py").write_text(f"{OFFICIAL}x = {'[' * 150}{']' * 150}\n")

    assert migrate(dags, "--write") == 0
    assert (dags / "deep.py").read_text().startswith(OURS)


def test_a_message_about_a_syntax_error_is_short(tmp_path, capsys):
    (tmp_path / "old.py").write_text(f"{OFFICIAL}print 'Python 2'\n")

    assert migrate(tmp_path) == 1
    assert re.search(r"old\.py is not valid Python 3, line 3: .{1,60}\n", capsys.readouterr().err)


def test_a_path_that_does_not_exist_is_an_error(tmp_path, capsys):
    assert migrate(tmp_path / "missing.py") == 1
    assert "missing.py cannot be read: No such file or directory" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_named_and_the_others_change(dags, capsys):
    # The name of the temporary file is too long.
    long = dags / f"{'x' * 250}.py"
    long.write_text(OFFICIAL)

    assert migrate(dags, "--write") == 1

    output = capsys.readouterr()
    assert f"error: {long} cannot be written: File name too long\n" in output.err
    assert output.err.endswith("changed 2 of 4 files, 0 comments to look at, 1 file not migrated\n")
    assert long.read_text() == OFFICIAL
    assert (dags / "one.py").read_text() == (dags / "inner/two.py").read_text() == OURS


def test_a_notebook_is_refused(tmp_path, capsys):
    notebook = tmp_path / "dag.ipynb"
    text = '{"x": ["airflow.providers.airbyte.operators.airbyte.AirbyteTriggerSyncOperator"]}\n'
    notebook.write_text(text)

    assert migrate(notebook, "--write") == 1
    assert f"error: {notebook} is no .py file\n" in capsys.readouterr().err
    assert notebook.read_text() == text


def test_a_link_to_nothing_in_a_folder_is_left_out(dags, capsys):
    (dags / ".#one.py").symlink_to("somebody@host")

    assert migrate(dags) == 0
    assert "would change 2 of 3 files" in capsys.readouterr().err


def test_comments_are_counted_by_their_place_in_the_documentation(tmp_path, capsys):
    file = tmp_path / "dag.py"
    file.write_text(IMPORT.format("hook", "Hook") + "make(AirbyteHook)\nmake(AirbyteHook)\n")

    migrate(file)

    assert (
        f"{file}: 2 comments to look at: classes-that-are-created-elsewhere (2)\n"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("arguments", [(), ("dags", "--connections"), ("--connections", "--write")])
def test_arguments_that_contradict_each_other_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as error:
        migrate(*arguments)

    assert error.value.code == 2


def test_without_libcst_one_line_says_what_to_install(dags):
    code = (
        "import sys; sys.modules['libcst'] = None; sys.argv = ['x', *sys.argv[1:]]\n"
        "from airflow_provider_airbyte_sme.cli.main import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", code, "migrate"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}

    help_text = subprocess.run(
        [*command, "--help"], env=environment, capture_output=True, text=True
    )
    result = subprocess.run([*command, str(dags)], env=environment, capture_output=True, text=True)

    assert help_text.returncode == 0
    assert result.returncode == 1
    assert result.stderr == (
        "error: migrate needs LibCST: pip install 'airflow-provider-airbyte-sme[migrate]'\n"
    )


def test_every_comment_leads_to_a_heading():
    text = (REPOSITORY / DOCUMENT).read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", each).lower().replace(" ", "-") for each in headings}

    assert {reason.anchor for reason in Reason} <= anchors


def test_every_comment_is_one_line_without_a_nested_comment():
    for reason in Reason:
        assert re.fullmatch(r"# TODO\(airbyte-sme\): [^#\n]+, see https://\S+#\S+", reason.comment)


def test_the_diff_in_the_documentation_is_what_the_command_prints(capsys):
    text = (REPOSITORY / DOCUMENT).read_text(encoding="utf-8")
    (example,) = re.findall(r"the command makes these:\n\n```text\n(.*?)```", text, re.DOTALL)
    migrate(REPOSITORY / "tests/migration/dags/output_to_sensor.py")

    printed = capsys.readouterr().out
    shown = [line for line in example.splitlines() if line[:1] in ("+", "-")]
    assert len(shown) > 5
    assert [line for line in shown if line not in printed.splitlines()] == []


def test_the_tasks_in_the_documentation_are_those_of_a_tested_dag():
    text = (REPOSITORY / DOCUMENT).read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)

    assert example in (REPOSITORY / "tests/migration/dags/output_to_sensor.py").read_text()
