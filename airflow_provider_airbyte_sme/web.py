"""
What the plugins add to Airflow's API server: whether it is switched on, and where people find it.

Every component of Airflow loads the plugins, so this imports nothing that they do not have anyway.
"""

from __future__ import annotations

import logging

from airflow.providers.common.compat.sdk import conf

log = logging.getLogger(__name__)

PAGE_ROUTE = "airbyte"
"""Where Airflow shows the page *Airbyte*: ``/plugin/airbyte``."""


def is_switched_on(option: str, *, default: bool) -> bool:
    """
    Return whether the section ``[airbyte_sme]`` of Airflow's configuration switches something on.

    Never raises. A value that is neither true nor false switches it off, with a warning.
    """
    try:
        return bool(conf.getboolean("airbyte_sme", option, fallback=default))
    # Whatever is wrong with the configuration, each component must start.
    except Exception as error:
        log.warning(
            "[airbyte_sme] %s must be True or False, so the %s is off: %s",
            option,
            option,
            str(error).replace("\n", " "),
        )
        return False


def is_page_on() -> bool:
    """Return whether ``[airbyte_sme] page`` leaves the page *Airbyte* on."""
    return is_switched_on("page", default=True)
