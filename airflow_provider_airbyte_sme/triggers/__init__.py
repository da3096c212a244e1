"""Airflow triggers for Airbyte."""
