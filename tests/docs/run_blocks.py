"""
Parses files with Airflow: ``python -m tests.docs.run_blocks FILE…``.

It writes ``faults.json``: by file, why it has no DAG that Airflow accepts.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:
    from airflow.models.dagbag import DagBag  # type: ignore[no-redef]  # the same class, before its move

FAULTS = "faults.json"


def fault_of(file: str) -> str:
    """Return why Airflow cannot use a DAG file; empty if it can."""
    # One for each file, because files may have DAGs of the same name. Without the safe mode, which
    # skips what does not look like a DAG file.
    bag = DagBag(dag_folder=file, safe_mode=False)
    if bag.import_errors:
        return "\n".join(bag.import_errors.values()).strip()
    return "" if bag.dags else "it has no DAG"


def main() -> None:
    """Parse the files."""
    faults = {file: fault_of(file) for file in sys.argv[1:]}
    Path(FAULTS).write_text(json.dumps(faults), encoding="utf-8")


if __name__ == "__main__":
    main()
