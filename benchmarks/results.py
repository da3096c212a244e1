"""Everything that was measured, kept in a file so that parts can be measured one at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from benchmarks.basics import Basics
from benchmarks.gates import GateFigures
from benchmarks.machine import Machine
from benchmarks.scenarios import Result
from benchmarks.triggerer import TriggererFigures


@dataclass(frozen=True)
class Results:
    """All figures, and the machine that they were measured on."""

    machine: Machine
    basics: Basics | None = None
    waits: Sequence[Result] = ()
    further: Sequence[Result] = ()
    triggerers: Sequence[TriggererFigures] = ()
    gates: Sequence[GateFigures] = ()

    @classmethod
    def read(cls, file: Path) -> Self:
        """
        Read what :meth:`write` wrote.

        :raises OSError: The file cannot be read.
        """
        value: dict[str, Any] = json.loads(file.read_text())
        return cls(
            machine=Machine(**value["machine"]),
            basics=None if value["basics"] is None else Basics.from_json(value["basics"]),
            waits=tuple(Result.from_json(each) for each in value["waits"]),
            further=tuple(Result.from_json(each) for each in value["further"]),
            triggerers=tuple(TriggererFigures(**each) for each in value["triggerers"]),
            gates=tuple(GateFigures(**each) for each in value["gates"]),
        )

    def write(self, file: Path) -> None:
        """Write everything as JSON."""
        file.write_text(json.dumps(asdict(self), indent=2) + "\n")
