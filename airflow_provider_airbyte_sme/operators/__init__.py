"""Airflow operators for Airbyte."""
