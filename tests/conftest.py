"""Isolates the tests from the Airflow configuration of whoever runs them."""

import atexit
import os
import shutil
import tempfile

# Airflow reads the environment once, when it is first imported, which is before any fixture runs.
for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
    del os.environ[name]

airflow_home = tempfile.mkdtemp(prefix="airflow-home-")
atexit.register(shutil.rmtree, airflow_home, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = airflow_home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
