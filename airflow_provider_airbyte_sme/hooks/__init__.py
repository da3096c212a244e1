"""Airflow hooks for Airbyte."""
