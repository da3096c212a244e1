"""Apache Airflow provider for Airbyte Self-Managed Enterprise."""

__version__ = "0.1.0"
