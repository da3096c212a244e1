"""The audit of dependencies fails for what it finds, and never passes for want of advisories."""

from pathlib import Path

import pytest

from scripts.audit import NoReportError, audit

PROBE, PINS = Path("probe.txt"), Path("pins.txt")
VULNERABLE = {
    "name": "requests",
    "version": "2.19.0",
    "vulns": [{"id": "PYSEC-2018-28", "aliases": ["CVE-2018-18074"], "fix_versions": ["2.20.0"]}],
}
CLEAN = {"name": "requests", "version": "2.34.2", "vulns": []}
UNKNOWN = {"name": "requests", "skip_reason": "Dependency not found on PyPI"}


@pytest.mark.parametrize(("pins", "code"), [([CLEAN, UNKNOWN], 0), ([CLEAN, VULNERABLE], 1)])
def test_the_exit_code_tells_whether_something_was_found(capsys, pins, code):
    assert audit([PINS], PROBE, {PROBE: [VULNERABLE], PINS: pins}.__getitem__) == code

    output = capsys.readouterr().out
    assert f"pins.txt: 2 pins, {code} known vulnerabilities" in output
    assert ("requests 2.19.0: PYSEC-2018-28 (CVE-2018-18074), fixed in 2.20.0" in output) == code


@pytest.mark.parametrize("probe", [[UNKNOWN], [CLEAN]])
def test_an_index_without_advisories_is_no_success(capsys, probe):
    assert audit([PINS], PROBE, {PROBE: probe, PINS: [CLEAN]}.__getitem__) == 0

    output = capsys.readouterr().out
    assert output.startswith("skipped: no advisories can be read from here")
    assert "pins.txt" not in output


def test_a_tool_without_a_report_is_no_success(capsys):
    def no_network(file: Path):
        raise NoReportError("no route to host")

    assert audit([PINS], PROBE, no_network) == 0
    assert capsys.readouterr().out.endswith("(no route to host)\n")
