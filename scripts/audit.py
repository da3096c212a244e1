"""
Checks pinned dependencies for known vulnerabilities, where the network allows it.

``make audit`` runs it. The advisories come from the package index, and not every mirror of it has
them: pip-audit then finds nothing in anything. So it is first asked about a release that is known
to be vulnerable. If it finds nothing there, the audit is skipped, which is printed with the reason.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

KNOWN_AS_VULNERABLE = "requests==2.19.0"  # CVE-2018-18074

TIMEOUT = 900.0
"""Seconds for all requests about one file."""

# A file with pins -> what pip-audit reports about each of them.
Audit = Callable[[Path], Sequence[Any]]


class NoReportError(Exception):
    """The tool has reported nothing; the message is the reason."""


def main(files: Sequence[str]) -> int:
    """
    Audit files with pins, and print what is found.

    :return: The exit code: 1 for a known vulnerability.
    """
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder) / "known-as-vulnerable.txt"
        probe.write_text(KNOWN_AS_VULNERABLE, encoding="utf-8")
        return audit([Path(each) for each in files], probe, pip_audit)


def audit(files: Sequence[Path], probe: Path, report_on: Audit) -> int:
    """
    Audit *files*, unless nothing is found even in *probe*.

    :return: The exit code: 1 for a known vulnerability.
    """
    try:
        reason = "" if findings(report_on(probe)) else f"nothing found in {KNOWN_AS_VULNERABLE}"
        reports = {} if reason else {file: report_on(file) for file in files}
    except NoReportError as error:
        reason, reports = str(error), {}
    if reason:
        print(f"skipped: no advisories can be read from here ({reason})")
        return 0
    found = 0
    for file, report in reports.items():
        lines = findings(report)
        print(
            "\n".join([f"{file}: {len(report)} pins, {len(lines)} known vulnerabilities", *lines])
        )
        found += len(lines)
    return 1 if found else 0


def findings(report: Sequence[Any]) -> list[str]:
    """
    Return a line for each known vulnerability.

    :param report: The list of dependencies in the JSON of pip-audit.
    """
    return [
        f"  {pin['name']} {pin['version']}: {each['id']} ({', '.join(each['aliases'])}), "
        f"fixed in {', '.join(each['fix_versions']) or 'no release'}"
        for pin in report
        for each in pin.get("vulns", ())
    ]


def pip_audit(file: Path) -> Sequence[Any]:
    """
    Run pip-audit on *file*.

    :raises NoReportError: It has failed, or takes too long.
    """
    options = ["--no-deps", "--disable-pip", "--format=json", "--progress-spinner=off"]
    command = [sys.executable, "-m", "pip_audit", *options, "--requirement", str(file)]
    try:
        process = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=TIMEOUT
        )
    except subprocess.TimeoutExpired:
        raise NoReportError(f"no report within {TIMEOUT:g} s") from None
    try:
        report: Sequence[Any] = json.loads(process.stdout)["dependencies"]
    except ValueError:
        last = process.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise NoReportError(last[0]) from None
    return report


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
