"""
The command line: ``python -m airflow_provider_airbyte_sme``, and ``airflow airbyte-sme``.

It imports nothing here, because every ``airflow`` command loads :mod:`.airflow_commands`.
"""
