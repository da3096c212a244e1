"""Keeps every test away from the Airflow of the person who runs them."""

import atexit
import os
import shutil
import tempfile

# Airflow reads these once, when it is first imported: before any fixture could set them.
_airflow_home = tempfile.mkdtemp(prefix="airflow-home-")
atexit.register(shutil.rmtree, _airflow_home, ignore_errors=True)
os.environ["AIRFLOW_HOME"] = _airflow_home
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
