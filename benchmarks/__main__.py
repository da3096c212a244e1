"""
Measure what the provider promises, beside the official one, on the same local server.

Run it on an otherwise idle machine: ``make bench``. Other load makes the figures meaningless.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

PARTS = ("basics", "waits", "further", "triggerer", "gates")


def main() -> None:
    """Measure, and print the figures."""
    options = _parser().parse_args()
    # What follows reads Airflow's configuration when it is imported.
    from benchmarks import document
    from benchmarks.basics import measure_basics
    from benchmarks.gates import measure_gates
    from benchmarks.machine import describe_machine
    from benchmarks.plot import draw
    from benchmarks.results import Results
    from benchmarks.scenarios import further_waits, many_waits, measure_all
    from benchmarks.tables import render
    from benchmarks.triggerer import measure_triggerers

    logging.disable(logging.INFO)
    report = partial(print, file=sys.stderr, flush=True)
    file: Path | None = options.results
    machine = describe_machine()
    results = Results.read(file) if file and file.exists() else Results(machine)
    if options.parts:
        results = replace(results, machine=machine)
    for part in options.parts:
        if part == "basics":
            results = replace(results, basics=measure_basics())
        elif part == "waits":
            measured = measure_all(many_waits(quick=options.quick), report)
            results = replace(results, waits=measured)
        elif part == "further":
            measured = measure_all(further_waits(quick=options.quick), report)
            results = replace(results, further=measured)
        elif part == "triggerer":
            figures = measure_triggerers(report, quick=options.quick)
            results = replace(results, triggerers=figures)
        else:
            results = replace(results, gates=measure_gates(report, quick=options.quick))
        if file:
            results.write(file)
    print(render(results), end="")
    if options.write:
        document.write(results, options.write)
    elif options.plot and results.waits:
        draw(results.waits, options.plot)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add(
        "--parts",
        nargs="*",
        choices=PARTS,
        default=PARTS,
        help="what to measure (default: everything); none: only show what --results has",
    )
    add("--quick", action="store_true", help="few waits and tasks, to see that everything works")
    add(
        "--results",
        type=Path,
        metavar="FILE",
        help="JSON file to read earlier results from, if it exists, and to write all to",
    )
    add("--plot", type=Path, metavar="FILE", help="PNG file to draw the plot to")
    add("--write", type=Path, metavar="FOLDER", help="folder of performance.md, to be updated")
    return parser


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        os.environ["AIRFLOW_HOME"] = home
        main()
