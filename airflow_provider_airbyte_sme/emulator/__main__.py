"""Entry point of ``python -m airflow_provider_airbyte_sme.emulator``."""

from __future__ import annotations

import sys

from airflow_provider_airbyte_sme.emulator.cli import main

sys.exit(main())
