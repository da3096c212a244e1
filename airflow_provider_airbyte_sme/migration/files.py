"""Files and folders: what is rewritten, as a difference or in place."""

from __future__ import annotations

import difflib
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import libcst as cst

from airflow_provider_airbyte_sme.migration.reasons import Reason
from airflow_provider_airbyte_sme.migration.rewriter import Rewritten, rewrite

# Folders that hold no DAG files of their own.
_SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages", "venv"})
_TOO_DEEP = "cannot be rewritten: its code is nested too deeply"
# LibCST visits a tree with several calls a level. Memory is only taken where it is used.
_RECURSION_LIMIT = 100_000
_STACK_SIZE = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class MigratedFile:
    """
    What became of one file.

    :param path: The file, which may not exist.
    :param before: What was in it.
    :param after: What is to be in it.
    :param reasons: What is left to a person, once for each comment.
    :param error: Why it could not be read or rewritten; empty if it could.
    """

    path: Path
    before: bytes = b""
    after: bytes = b""
    reasons: tuple[Reason, ...] = ()
    error: str = ""

    @property
    def is_changed(self) -> bool:
        """Whether there is anything to write."""
        return self.before != self.after

    def difference(self) -> bytes:
        """Return the unified diff, in the encoding of the file, as ``git apply`` takes it."""
        name = os.fsencode(self.path.as_posix().lstrip("/"))
        lines = difflib.diff_bytes(
            difflib.unified_diff,
            self.before.splitlines(keepends=True),
            self.after.splitlines(keepends=True),
            b"a/" + name,
            b"b/" + name,
        )
        end = b"\n\\ No newline at end of file\n"
        return b"".join(line if line.endswith(b"\n") else line + end for line in lines)

    def written(self) -> MigratedFile:
        """Write the file if it has changed; return what became of it."""
        if self.error or not self.is_changed:
            return self
        try:
            self.write()
        except OSError as error:
            reason = f"cannot be written: {error.strerror or error}"
            return MigratedFile(self.path, error=reason)
        return self

    def write(self) -> None:
        """
        Replace the file, with its permissions: whole, or not at all.

        A symbolic link stays one.

        :raises OSError: That is not possible.
        """
        target = self.path.resolve()
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(self.after)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(target.stat().st_mode & 0o7777)
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def find_files(paths: Iterable[Path]) -> Iterator[Path]:
    """
    Yield each Python file once: those that are named, and those below folders, by their names.

    Hidden folders and environments below a folder are left out.
    """
    seen: set[Path] = set()
    for path in paths:
        for file in _files_in(path) if path.is_dir() else [path]:
            if (real := file.resolve()) not in seen:
                seen.add(real)
                yield file


def _files_in(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            is_environment = (path / "pyvenv.cfg").exists()
            if path.name not in _SKIPPED and path.name[0] != "." and not is_environment:
                yield from () if path.is_symlink() else _files_in(path)
        elif path.suffix == ".py" and path.exists():
            # Editors lock files with links to nothing.
            yield path


def migrate_file(path: Path) -> MigratedFile:
    """Return what becomes of a file. Nothing is written."""
    # A notebook, or another JSON file, may be valid Python too.
    if path.exists() and path.suffix != ".py":
        return MigratedFile(path, error="is no .py file")
    try:
        before = path.read_bytes()
    except OSError as error:
        return MigratedFile(path, error=f"cannot be read: {error.strerror or error}")
    if _is_too_deep(before):
        return MigratedFile(path, error=_TOO_DEEP)
    try:
        new = _with_much_stack(rewrite, before)
    except cst.ParserSyntaxError as error:
        # The message may list dozens of tokens.
        message = error.message.splitlines()[0].partition(": expected one of ")[0]
        line = f"line {error.raw_line}: {message}"
        return MigratedFile(path, error=f"is not valid Python 3, {line}")
    except (UnicodeDecodeError, LookupError, SyntaxError) as error:
        return MigratedFile(path, error=f"cannot be decoded: {error}")
    except RecursionError:
        return MigratedFile(path, error=_TOO_DEEP)
    except (cst.MetadataException, cst.CSTValidationError) as error:
        return MigratedFile(path, error=f"cannot be rewritten: {type(error).__name__} {error}")
    return MigratedFile(path, before, new.source, new.reasons)


def _is_too_deep(source: bytes) -> bool:
    """Whether Python refuses a file because it is nested too deeply, which crashes LibCST."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(source, "dag", "exec", dont_inherit=True)
    except (MemoryError, RecursionError):
        return True
    except (SyntaxError, ValueError) as error:
        # LibCST decides about the rest: it may know a newer syntax.
        return "too many nested parentheses" in str(error)
    return False


def _with_much_stack(function: Callable[[bytes], Rewritten], source: bytes) -> Rewritten:
    """Call *function* with room for all that Python accepts, such as a sum of 1,000 terms."""
    limit, size = sys.getrecursionlimit(), threading.stack_size(_STACK_SIZE)
    sys.setrecursionlimit(_RECURSION_LIMIT)
    try:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(function, source).result()
    finally:
        threading.stack_size(size)
        sys.setrecursionlimit(limit)
