"""Keeps every test away from the Airflow of the person who runs them."""

import atexit
import os
import shutil
import tempfile

# Airflow reads its environment once, when it is first imported: before any fixture could set it.
for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
    del os.environ[name]

airflow_home = tempfile.mkdtemp(prefix="airflow-home-")
atexit.register(shutil.rmtree, airflow_home, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = airflow_home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
