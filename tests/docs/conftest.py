"""The documentation as a site, built once for all tests of a run."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.docs.pages import DOCS, REPOSITORY

# Nothing that the build needs may come from the network: whatever asks for it fails at once.
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
NO_NETWORK = dict.fromkeys(_PROXIES, "http://127.0.0.1:9")


class Site(NamedTuple):
    """
    A built site.

    :param folder: Where its pages are.
    :param warnings: What Sphinx says; empty if all is well.
    """

    folder: Path
    warnings: str


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Build the site with the command of ``make docs``."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    site = Site(shared / "site", "")
    said = shared / "site.log"
    # The processes of one run build it once.
    with (shared / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not said.exists():
            said.write_text(build(DOCS, site.folder), encoding="utf-8")
    return site._replace(warnings=said.read_text(encoding="utf-8"))


def build(pages: Path, folder: Path) -> str:
    """
    Build a site; return what Sphinx says.

    :param pages: Its sources, in a repository.
    """
    sphinx = shutil.which("sphinx-build", path=str(Path(sys.executable).parent))
    assert sphinx, "sphinx-build is not installed: run make test-quick, which installs it"
    done = subprocess.run(
        [sphinx, "--quiet", "--fail-on-warning", "--keep-going", str(pages), str(folder)],
        cwd=REPOSITORY,
        env={**os.environ, **NO_NETWORK},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return done.stdout + done.stderr if done.returncode else ""
