"""What one test leaves in the process is gone in the next."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import redact

from airflow_provider_airbyte_sme.operators.provisioning import hide

WORDS = ("first-word", "second-word")


@pytest.mark.parametrize("word", WORDS)
def test_airflow_does_not_mask_what_an_earlier_test_had_it_mask(word):
    assert [redact(text) for text in WORDS] == list(WORDS)

    hide([word])

    assert redact(word) == "***"
