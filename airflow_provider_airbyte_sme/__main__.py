"""Entry point of ``python -m airflow_provider_airbyte_sme``."""

from __future__ import annotations

import sys

from airflow_provider_airbyte_sme.cli.main import main

sys.exit(main())
