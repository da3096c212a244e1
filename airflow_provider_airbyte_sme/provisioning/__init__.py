"""Declared state of Airbyte resources: plan, apply and export. It never imports Airflow."""
