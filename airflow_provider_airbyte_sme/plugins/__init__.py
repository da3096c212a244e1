"""What Airflow loads as plugins. Airflow imports them in every component, so they import little."""
