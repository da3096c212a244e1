"""What the rewriter makes of single pieces of DAG files."""

from __future__ import annotations

import ast
import re
from textwrap import dedent

import libcst
import pytest

from airflow_provider_airbyte_sme.migration.reasons import MARK, Reason
from airflow_provider_airbyte_sme.migration.rewriter import rewrite

UUID = "15bc3800-82e4-48c3-a32d-620661273f28"
IMPORTS = """\
from airflow.providers.airbyte.operators.airbyte import AirbyteTriggerSyncOperator as Sync
from airflow.providers.airbyte.sensors.airbyte import AirbyteJobSensor as Sensor
from airflow.providers.airbyte.hooks.airbyte import AirbyteHook
from airflow.sdk import DAG
"""
OUR_IMPORTS = IMPORTS.replace("airflow.providers.airbyte", "airflow_provider_airbyte_sme")


def rewritten(source: str) -> str:
    """Return the new source, which is valid and stable, with short comments."""
    result = rewrite(source.encode())
    new = result.source.decode()
    ast.parse(new)
    assert rewrite(result.source).source == result.source
    assert len(result.reasons) == new.count(MARK)
    return re.sub(rf"# {re.escape(MARK)}: .*#(\S+)", r"# TODO \1", new)


def body(code: str) -> str:
    """Return what becomes of code in a module that has a DAG and no ``default_args``."""
    dag = "dag = DAG('d')\n"
    new = rewritten(IMPORTS + dag + dedent(code))
    head = OUR_IMPORTS + dag
    assert new.startswith(head)
    return new.removeprefix(head)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "from airflow.providers.airbyte.operators.airbyte import AirbyteTriggerSyncOperator",
            "from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator",
        ),
        (
            "from airflow.providers.airbyte.sensors.airbyte import \\\n    AirbyteJobSensor",
            "from airflow_provider_airbyte_sme.sensors.airbyte import \\\n    AirbyteJobSensor",
        ),
        (
            "from airflow.providers.airbyte.sensors.airbyte import (\n"
            "    AirbyteJobSensor as S,  # waits\n"
            ")",
            "from airflow_provider_airbyte_sme.sensors.airbyte import (\n"
            "    AirbyteJobSensor as S,  # waits\n"
            ")",
        ),
        (
            "import airflow.providers.airbyte.hooks.airbyte as h\nx = h.AirbyteHook",
            "import airflow_provider_airbyte_sme.hooks.airbyte as h\nx = h.AirbyteHook",
        ),
        (
            "import airflow.providers.airbyte.hooks.airbyte\n"
            "x = airflow.providers.airbyte.hooks.airbyte.AirbyteHook",
            "import airflow_provider_airbyte_sme.hooks.airbyte\n"
            "x = airflow_provider_airbyte_sme.hooks.airbyte.AirbyteHook",
        ),
        (
            "import airflow.providers.airbyte.hooks.airbyte\nx = airflow.__version__",
            "import airflow_provider_airbyte_sme.hooks.airbyte\n"
            "import airflow\nx = airflow.__version__",
        ),
        (
            "from airflow.providers import airbyte",
            "import airflow_provider_airbyte_sme as airbyte",
        ),
        (
            "from airflow.providers import airbyte as a, http",
            "from airflow.providers import http\nimport airflow_provider_airbyte_sme as a",
        ),
        (
            "from airflow.providers.airbyte.hooks.airbyte import *\nAirbyteHook()",
            "from airflow_provider_airbyte_sme.hooks.airbyte import *\n"
            'AirbyteHook(airbyte_conn_id="airbyte_default")',
        ),
        # Comments go with what they are about.
        (
            "from airflow.providers.airbyte.operators.airbyte import (\n"
            "    AirbyteTriggerSyncOperator,  # starts\n"
            "    AirbyteHook,  # noqa: F401\n"
            ")\nf: AirbyteTriggerSyncOperator",
            "from airflow_provider_airbyte_sme.operators.airbyte import (\n"
            "    AirbyteTriggerSyncOperator,  # starts\n"
            ")\n"
            "from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook  # noqa: F401\n"
            "f: AirbyteTriggerSyncOperator",
        ),
        (
            "from airflow.providers import (\n    http,  # web\n    airbyte  # data\n)",
            "from airflow.providers import (\n    http  # web\n)\n"
            "import airflow_provider_airbyte_sme as airbyte  # data",
        ),
        (
            "import airflow.providers.airbyte\n"
            "from airbyte_api.models import (  # SDK\n"
            "    JobStatusEnum,  # one\n    # and\n    JobTypeEnum, Other,\n)",
            "import airflow_provider_airbyte_sme\n"
            "# TODO airbyte_api\nfrom airbyte_api.models import (  # SDK\n    Other,\n)\n"
            "# one\n# and\nfrom airflow_provider_airbyte_sme.api import JobStatus, JobType",
        ),
        # An official module imports others, so they can be imported from it.
        (
            "from airflow.providers.airbyte.operators.airbyte import *\n"
            "AirbyteHook('c').get_job_status(1) == JobStatusEnum.FAILED",
            "from airflow_provider_airbyte_sme.operators.airbyte import *\n"
            "from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook\n"
            "from airflow_provider_airbyte_sme.api import JobStatus\n"
            "AirbyteHook('c').get_job(1).status == JobStatus.FAILED",
        ),
        (
            "from airflow.providers.airbyte.operators.airbyte import *\nraise AirflowException",
            "# TODO names-that-do-not-exist-here\n"
            "from airflow_provider_airbyte_sme.operators.airbyte import *\nraise AirflowException",
        ),
        (
            "from airflow.providers.airbyte.operators.airbyte import *\n"
            "from airflow.exceptions import AirflowException\nraise AirflowException",
            "from airflow_provider_airbyte_sme.operators.airbyte import *\n"
            "from airflow.exceptions import AirflowException\nraise AirflowException",
        ),
        (
            "from airflow.providers.airbyte.operators.airbyte import (\n"
            "    AirbyteHook as H,  # calls it\n)\nH('c').get_job_status(1)",
            "from airflow_provider_airbyte_sme.hooks.airbyte import (\n"
            "    AirbyteHook as H,  # calls it\n)\nH('c').get_job(1).status",
        ),
        (
            "from airflow.providers.airbyte.triggers.airbyte import AirbyteHook, "
            "AirbyteSyncTrigger\n"
            "def f(t: AirbyteSyncTrigger): return AirbyteHook('c').get_job_status(1)",
            "from airflow_provider_airbyte_sme.triggers.airbyte import AirbyteJobTrigger\n"
            "from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook\n"
            "def f(t: AirbyteJobTrigger): return AirbyteHook('c').get_job(1).status",
        ),
        (
            "from airflow.providers.airbyte.operators import airbyte\nairbyte.AirbyteHook('c')",
            "from airflow_provider_airbyte_sme.operators import airbyte\n"
            "# TODO names-that-do-not-exist-here\nairbyte.AirbyteHook('c')",
        ),
        (
            "from airflow.providers.airbyte.triggers.airbyte import AirbyteSyncTrigger\n"
            "def f(t: AirbyteSyncTrigger, u: 'list[AirbyteSyncTrigger]'): ...",
            "from airflow_provider_airbyte_sme.triggers.airbyte import AirbyteJobTrigger\n"
            "def f(t: AirbyteJobTrigger, u: 'list[AirbyteJobTrigger]'): ...",
        ),
        (
            "from airflow.providers.airbyte.version_compat import AIRFLOW_V_3_0_PLUS",
            "# TODO names-that-do-not-exist-here\n"
            "from airflow_provider_airbyte_sme.version_compat import AIRFLOW_V_3_0_PLUS",
        ),
        (
            "from airflow.providers.airbyte.hooks.airbyte import AirbyteHook\n"
            "from airbyte_api.models import JobStatusEnum as Status, JobTypeEnum\n"
            "x = Status.FAILED, JobTypeEnum.SYNC",
            "from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook\n"
            "from airflow_provider_airbyte_sme.api import JobStatus as Status, JobType\n"
            "x = Status.FAILED, JobType.SYNC",
        ),
        (
            "from airflow.providers.airbyte.hooks.airbyte import AirbyteHook\nimport airbyte_api",
            "from airflow_provider_airbyte_sme.hooks.airbyte import AirbyteHook\n"
            "# TODO airbyte_api\nimport airbyte_api",
        ),
    ],
)
def test_imports(before, after):
    # Without a DAG, the imports are for other modules.
    assert rewritten(f"{before}\ndag = DAG('d')\n") == f"{after}\ndag = DAG('d')\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("asynchronous=True", "wait_for_completion=False"),
        ("asynchronous=False", "wait_for_completion=True"),
        ("asynchronous=flag", "wait_for_completion=not flag"),
        ("asynchronous=not flag", "wait_for_completion=bool(flag)"),
        ("asynchronous=a or b", "wait_for_completion=not (a or b)"),
        ("asynchronous=(a == b)", "wait_for_completion=not (a == b)"),
        ("asynchronous=a if b else c", "wait_for_completion=not (a if b else c)"),
        ("wait_seconds=3", "poll_interval=3"),
        ("wait_seconds=0", "poll_interval=1"),
        ("timeout=7200", "timeout=7200"),
        ("deferrable=True", "deferrable=True"),
    ],
)
def test_parameters_of_the_operator(before, after):
    call = 'x = Sync(task_id="t", airbyte_conn_id="c", connection_id=C, {}, retries=1)\n'

    assert body(call.format(before)) == call.format(after)


def test_the_old_default_connection_is_named():
    assert body('Sync(task_id="t", connection_id=C)\n') == (
        'Sync(task_id="t", airbyte_conn_id="airbyte_default", connection_id=C)\n'
    )
    assert body('Sensor(airbyte_job_id=1, task_id="t")\n') == (
        'Sensor(airbyte_job_id=1, task_id="t", airbyte_conn_id="airbyte_default")\n'
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # In the middle, at the end, at the beginning, alone on its line, with comments around it.
        (
            'x = Sync(task_id="t", api_version="v1", airbyte_conn_id="c")\n',
            'x = Sync(task_id="t", airbyte_conn_id="c")\n',
        ),
        (
            'x = Sync(task_id="t", airbyte_conn_id="c", api_version="v1")\n',
            'x = Sync(task_id="t", airbyte_conn_id="c")\n',
        ),
        (
            'x = Sync(api_version="v1", task_id="t", airbyte_conn_id="c")\n',
            'x = Sync(task_id="t", airbyte_conn_id="c")\n',
        ),
        (
            "x = Sync(\n"
            '    task_id="t",  # one\n'
            "    # two\n"
            '    api_version="v1",\n'
            "    # three\n"
            '    airbyte_conn_id="c",  # four\n'
            ")\n",
            "x = Sync(\n"
            '    task_id="t",  # one\n'
            "    # two\n"
            "    # three\n"
            '    airbyte_conn_id="c",  # four\n'
            ")\n",
        ),
        (
            'x = Sync(\n    # one\n    api_version="v1",\n    # two\n    airbyte_conn_id="c"\n)\n',
            'x = Sync(\n    # one\n    # two\n    airbyte_conn_id="c"\n)\n',
        ),
        (
            "x = Sync(\n"
            '    airbyte_conn_id="c",  # one\n'
            "    # two\n"
            '    api_version="v1",\n'
            "    # three\n"
            ")\n",
            'x = Sync(\n    airbyte_conn_id="c",  # one\n    # two\n    # three\n)\n',
        ),
        (
            'x = Sync(\n    airbyte_conn_id="c",  # one\n    api_version="v1")\n',
            'x = Sync(\n    airbyte_conn_id="c",  # one\n    )\n',
        ),
        (
            'x = Sync(api_version="v1", **{"airbyte_conn_id": "c"})\n',
            'x = Sync(**{"airbyte_conn_id": "c"})\n',
        ),
    ],
)
def test_a_removed_argument_leaves_the_others_as_they_are(before, after):
    assert body(before) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            'x = Sync(\n    task_id="t",  # one\n    # two\n    connection_id=C,\n)\n',
            'x = Sync(\n    task_id="t",  # one\n    airbyte_conn_id="airbyte_default",\n'
            "    # two\n    connection_id=C,\n)\n",
        ),
        (
            'x = Sync(\n    connection_id=C,\n    task_id="t"\n)\n',
            'x = Sync(\n    connection_id=C,\n    task_id="t",\n'
            '    airbyte_conn_id="airbyte_default"\n)\n',
        ),
        (
            'x = Sync(\n    connection_id=C,\n    task_id="t",\n)\n',
            'x = Sync(\n    connection_id=C,\n    task_id="t",\n'
            '    airbyte_conn_id="airbyte_default",\n)\n',
        ),
        (
            "x = Sync(connection_id=C)\n",
            'x = Sync(airbyte_conn_id="airbyte_default", connection_id=C)\n',
        ),
        (
            'x = Sync(\n    api_version="v1",\n    # one\n    timeout=None\n)\n',
            '# TODO no-timeout\nx = Sync(\n    # one\n    airbyte_conn_id="airbyte_default")\n',
        ),
        ("x = AirbyteHook()\n", 'x = AirbyteHook(airbyte_conn_id="airbyte_default")\n'),
    ],
)
def test_an_added_argument_has_the_layout_of_the_others(before, after):
    assert body(before) == after


@pytest.mark.parametrize(
    ("defaults", "has_comment", "is_added"),
    [
        ("", False, True),
        (", default_args={'owner': 'me'}", False, True),
        (", default_args={'airbyte_conn_id': 'c'}", False, False),
        (", default_args=dict(airbyte_conn_id='c')", False, False),
        (", default_args=KNOWN", False, False),
        (", default_args={**KNOWN, 'retries': 1}", False, False),
        (", default_args=KNOWN | {'retries': 1}", False, False),
        (", default_args=KNOWN.copy()", False, False),
        (", default_args=imported", True, False),
        (", default_args=CHANGED", True, False),
        (", default_args={name: 'c'}", True, False),
        (", **options", True, False),
    ],
)
def test_the_connection_of_default_args_is_respected(defaults, has_comment, is_added):
    source = (
        IMPORTS
        + "from common import imported, name, options\n"
        + "KNOWN = {'airbyte_conn_id': 'c'}\nCHANGED = {}\nCHANGED['airbyte_conn_id'] = 'c'\n"
        + f"with DAG('d'{defaults}):\n    Sync(task_id='t', connection_id=C)\n"
    )
    new = rewritten(source)

    assert ('airbyte_conn_id="airbyte_default"' in new) == is_added
    assert ("# TODO airbyte_conn_id-and-default_args" in new) == has_comment


@pytest.mark.parametrize(
    "code",
    [
        "@dag(default_args={'airbyte_conn_id': 'c'})\ndef d():\n    Sync(task_id='t')\n",
        "with DAG('d') as x:\n  with TaskGroup('g', default_args={'airbyte_conn_id': 'c'}):\n"
        "    Sync(task_id='t')\n",
        "one = DAG('d', default_args={'airbyte_conn_id': 'c'})\nSync(task_id='t', dag=one)\n",
        "one = DAG('d', default_args={'airbyte_conn_id': 'c'})\nwith one:\n    Sync(task_id='t')\n",
        "def make():\n    return Sync(task_id='t')\n"
        "with DAG('d', default_args={'airbyte_conn_id': 'c'}):\n    make()\n",
    ],
)
def test_default_args_are_found_from_where_a_task_is(code):
    new = rewritten(IMPORTS + "from airflow.sdk import dag, TaskGroup\n" + code)

    assert "airbyte_default" not in new
    assert "TODO" not in new


def test_each_of_two_dags_has_its_own_default_args():
    new = rewritten(
        IMPORTS + "with DAG('a', default_args={'airbyte_conn_id': 'c'}):\n"
        "    Sync(task_id='with')\n"
        "with DAG('b'):\n    Sync(task_id='without')\n"
    )

    assert "Sync(task_id='with')" in new
    assert "Sync(task_id='without', airbyte_conn_id=\"airbyte_default\")" in new


def test_a_module_without_a_dag_has_a_comment():
    new = rewritten(IMPORTS + "def make():\n    return Sync(task_id='t')\n")

    assert new.endswith(
        "    # TODO airbyte_conn_id-and-default_args\n"
        "    return Sync(task_id='t', airbyte_conn_id=\"airbyte_default\")\n"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "A = {'asynchronous': True, 'wait_seconds': 3, 'api_version': 'v1'}\n",
            "A = {'wait_for_completion': False, 'poll_interval': 3}\n",
        ),
        (
            "A = dict(asynchronous=True, wait_seconds=3)\n",
            "A = dict(wait_for_completion=False, poll_interval=3)\n",
        ),
        (
            "A = {\n    # one\n    'wait_seconds': 3,  # two\n    'api_version': 'v1',\n}\n",
            "A = {\n    # one\n    'poll_interval': 3,  # two\n}\n",
        ),
        (
            "A = {'retries': 1,  # one\n     'api_version': 'v1'}\n",
            "A = {'retries': 1,  # one\n     }\n",
        ),
        (
            "A = {\n    'api_version': 'v1',\n    'retries': 1,\n}\n",
            "A = {\n    'retries': 1,\n}\n",
        ),
    ],
)
def test_arguments_in_a_dict(before, after):
    call = "Sync(task_id='t', airbyte_conn_id='c', connection_id=C, **A)\n"

    assert body(before + call) == after + call


@pytest.mark.parametrize(
    ("use", "has_comment"),
    [
        ("x = A['asynchronous']", True),
        ("x = A[key]", True),
        ("x = A.get('asynchronous')", True),
        ("x = A.pop(key)", True),
        ("Other(**A)", True),
        ("make(A)", True),
        ("x = A['retries']", False),
        ("x = A.get('retries')", False),
        ("x = dict(A, retries=1)", False),
        ("x = A | {'retries': 1}", False),
        ("Sync(task_id='u', airbyte_conn_id='c', **A)", False),
    ],
)
def test_other_uses_of_a_mapping_whose_keys_are_renamed_have_a_comment(use, has_comment):
    call = "Sync(task_id='t', airbyte_conn_id='c', connection_id=C, **A)\n"
    comment = "# TODO renamed-keys\n" if has_comment else ""

    assert body(f"A = {{'asynchronous': True, 'retries': 1}}\n{call}{use}\n") == (
        f"A = {{'wait_for_completion': False, 'retries': 1}}\n{call}{comment}{use}\n"
    )


def test_a_mapping_that_is_extended_has_a_comment():
    code = (
        "A = {'retries': 1}\nA |= {'asynchronous': True}\n"
        "Sync(task_id='t', airbyte_conn_id='c', connection_id=C, **A)\n"
    )

    assert "# TODO keyword-arguments\nSync(" in body(code)


@pytest.mark.parametrize(
    ("key", "has_comment"),
    [("'pool'", False), ("'wait_seconds'", True), ("'airbyte_conn_id'", True), ("key", True)],
)
def test_a_key_that_is_set_later_matters_if_it_may_be_another_one_here(key, has_comment):
    code = f"A = {{'retries': 1}}\nA[{key}] = 1\n%sSync(task_id='t', airbyte_conn_id='c', **A)\n"

    assert body(code % "") == code % ("# TODO keyword-arguments\n" if has_comment else "")


def test_a_key_that_is_set_later_in_the_arguments_of_a_dag_is_no_default_argument():
    code = (
        "OPTIONS = {'default_args': {'retries': 1}}\nOPTIONS['tags'] = ['a']\n"
        "with DAG('e', **OPTIONS):\n    Sync(task_id='t', %sconnection_id=C)\n"
    )

    assert body(code % "") == code % 'airbyte_conn_id="airbyte_default", '


LOOPS = [
    "for c in [{0}]:\n    {1}\n",
    "CS = [{0}]\nfor c in CS:\n    {1}\n",
    "CS = ({0},)\nx = [{1} for c in CS]\n",
    "CS = {{'t': {0}}}\nfor c in CS.values():\n    {1}\n",
    "CS = {{'t': {0}}}\nfor name, c in CS.items():\n    {1}\n",
    "CS = [{0}]\nfor i, c in enumerate(CS):\n    {1}\n",
]


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{'asynchronous': True, 'airbyte_conn_id': 'c'}", "Sync(task_id='t', **c)"),
        ("dict(asynchronous=True)", "Sync(task_id='t', airbyte_conn_id=\"airbyte_default\", **c)"),
    ],
)
def test_configurations_in_a_loop_are_rewritten(loop, before, after):
    new = before.replace("'asynchronous': True", "'wait_for_completion': False")
    new = new.replace("asynchronous=True", "wait_for_completion=False")

    assert body(loop.format(before, "Sync(task_id='t', **c)")) == loop.format(new, after)


@pytest.mark.parametrize(
    ("use", "new_use", "is_renamed"),
    [
        ("Sync(**CS['a'])", "Sync(airbyte_conn_id=\"airbyte_default\", **CS['a'])", True),
        (
            "for c in CS.values():\n    print(c['schedule'])\n    Sync(airbyte_conn_id='c', **c)",
            None,
            True,
        ),
        (
            "for c in CS.values():\n    print(c)\n    Sync(airbyte_conn_id='c', **c)",
            "for c in CS.values():\n    # TODO renamed-keys\n    print(c)\n"
            "    Sync(airbyte_conn_id='c', **c)",
            True,
        ),
        (
            "print(CS)\nfor c in CS.values():\n    Sync(airbyte_conn_id='c', **c)",
            "print(CS)\nfor c in CS.values():\n"
            "    # TODO keyword-arguments\n    Sync(airbyte_conn_id='c', **c)",
            False,
        ),
        ("for c in CS.values():\n    Other(**c)", None, False),
    ],
)
def test_configurations_are_rewritten_if_nothing_else_uses_them(use, new_use, is_renamed):
    made = "CS = {{'a': {{'task_id': 't', {}}}}}\n"
    old, new = "'asynchronous': True", "'wait_for_completion': False"

    assert body(f"{made.format(old)}{use}\n") == (
        f"{made.format(new if is_renamed else old)}{new_use or use}\n"
    )


def test_of_several_configurations_only_the_one_that_is_named_is_rewritten():
    code = (
        "CS = {'a': {'wait_seconds': 1}, 'b': {'asynchronous': True}}\n"
        "Sync(airbyte_conn_id='c', **CS['a'])\n"
    )

    assert body(code) == code.replace("wait_seconds", "poll_interval")


@pytest.mark.parametrize(
    "use",
    [
        "for c in CS:\n    %sSync(**c)\n",
        "%sSync.partial(task_id='t').expand_kwargs(CS)\n",
        "%sSync(**(CS[0] if x else {}))\n",
    ],
)
def test_configurations_of_which_only_some_name_a_connection_have_a_comment(use):
    code = f"CS = [{{'airbyte_conn_id': 'c'}}, {{'retries': 1}}]\n{use}"

    assert body(code.replace("%s", "")) == code.replace(
        "    %s", "    # TODO keyword-arguments\n    "
    ).replace("%s", "# TODO keyword-arguments\n")


@pytest.mark.parametrize(
    ("use", "has_comment"),
    [
        ("a.wait_seconds = 5", True),
        ("x = a.asynchronous", True),
        ("x = a.api_version", True),
        ("a.retries = 5", False),
        ("def policy(task):\n    x = task\n    {}task.wait_seconds = 5", True),
        ("def read(pod):\n    x = pod\n    {}pod.api_version = 'v1'", False),
        ("Other(x=1).wait_seconds = 5", False),
    ],
)
def test_attributes_that_a_task_does_not_have_have_a_comment(use, has_comment):
    code = "a = Sync(task_id='t', airbyte_conn_id='c')\n"
    code += (use if "{}" in use else "{}" + use) + "\n"

    comment = "# TODO attributes-of-tasks\n" + "    " * ("def" in use)
    assert body(code.format("")) == code.format(comment if has_comment else "")


@pytest.mark.parametrize(
    ("defaults", "has_comment"),
    [("imported", True), ("CHANGED", True), ("KNOWN", False), ("None", False)],
)
def test_default_args_that_are_not_known_have_a_comment(defaults, has_comment):
    before = (
        "from common import imported\nKNOWN = {'retries': 1}\n"
        "CHANGED = {}\nCHANGED['asynchronous'] = True\n"
    )
    after = f"with DAG('e', default_args={defaults}):\n    Sync(task_id='t', airbyte_conn_id='c')\n"
    comment = "# TODO default_args-from-elsewhere\n" if has_comment else ""

    assert body(before + after) == before + comment + after


def test_the_dag_of_a_function_from_elsewhere_may_have_default_args():
    code = "from common import make_dag\nwith make_dag('e') as d:\n    {}Sync(task_id='t')\n"
    comment = "# TODO airbyte_conn_id-and-default_args\n    "

    assert body(code.format("")) == code.format(comment)


def test_arguments_of_which_nothing_is_known_have_a_comment():
    assert body("def f(**options):\n    return Sync(task_id='t', **options)\n") == (
        "def f(**options):\n    # TODO keyword-arguments\n    return Sync(task_id='t', **options)\n"
    )


def test_default_args_are_rewritten():
    new = rewritten(
        IMPORTS + "with DAG('d', default_args={'airbyte_conn_id': 'c', 'asynchronous': True}):\n"
        "    Sync(task_id='t')\n    BashOperator(task_id='b')\n"
    )

    assert "{'airbyte_conn_id': 'c', 'wait_for_completion': False}" in new
    assert "TODO" not in new


def test_default_args_that_others_may_take_have_a_comment():
    new = rewritten(
        IMPORTS + "with DAG('d', default_args={'asynchronous': True, 'api_version': 'v1'}):\n"
        "    Sync(task_id='t')\n    TriggerDagRunOperator(task_id='b')\n"
    )

    assert "# TODO default_args-reach-other-operators\nwith DAG(" in new
    assert "{'wait_for_completion': False, 'api_version': 'v1'}" in new


@pytest.mark.parametrize(
    ("options", "new_options", "has_comment", "gives_connection"),
    [
        (
            "{'default_args': {'airbyte_conn_id': 'c', 'asynchronous': True}}",
            "{'default_args': {'airbyte_conn_id': 'c', 'wait_for_completion': False}}",
            False,
            True,
        ),
        (
            "dict(default_args=dict(airbyte_conn_id='c', wait_seconds=1))",
            "dict(default_args=dict(airbyte_conn_id='c', poll_interval=1))",
            False,
            True,
        ),
        ("{'default_args': {'retries': 1}}", "{'default_args': {'retries': 1}}", False, False),
        ("{'schedule': None}", "{'schedule': None}", False, False),
        ("load()", "load()", True, None),
    ],
)
def test_default_args_in_a_mapping_for_the_dag_are_found(
    options, new_options, has_comment, gives_connection
):
    code = "options = {}\n{}with DAG('e', **options):\n    {}Sync(task_id='t'{})\n"
    added = "" if gives_connection in (True, None) else ', airbyte_conn_id="airbyte_default"'

    assert body(code.format(options, "", "", "")) == code.format(
        new_options,
        "# TODO default_args-from-elsewhere\n" if has_comment else "",
        "# TODO airbyte_conn_id-and-default_args\n    " if gives_connection is None else "",
        added,
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("p.expand(airbyte_conn_id=IDS)\n", None),
        ("p.expand_kwargs([{'airbyte_conn_id': 'c'}])\n", None),
        ("q = p\nq.expand(airbyte_conn_id=IDS)\n", None),
        (
            "p.expand(connection_id=CS)\n",
            "p = Sync.partial(task_id='t', airbyte_conn_id=\"airbyte_default\")\n"
            "p.expand(connection_id=CS)\n",
        ),
        (
            "if x:\n    p.expand(airbyte_conn_id=IDS)\nelse:\n    p.expand(connection_id=CS)\n",
            "# TODO keyword-arguments\np = Sync.partial(task_id='t')\n"
            "if x:\n    p.expand(airbyte_conn_id=IDS)\nelse:\n    p.expand(connection_id=CS)\n",
        ),
    ],
)
def test_a_task_that_is_mapped_in_another_statement_has_one_connection(before, after):
    made = "p = Sync.partial(task_id='t')\n"

    assert body(made + before) == (after or made + before)


@pytest.mark.parametrize(
    "made",
    [
        "S = getattr(ops, 'AirbyteTriggerSyncOperator')\n{}",
        "S = import_module('airflow.providers.airbyte.operators.airbyte')"
        ".AirbyteTriggerSyncOperator\n{}",
        "m = importlib.import_module('airflow.providers.airbyte.operators.airbyte')\n"
        "S = getattr(m, 'AirbyteTriggerSyncOperator')\n{}",
        "{}S = type('S', (Sync,), {{'ui_color': 'red'}})\n",
        "def make(): return Sync\nS = make()\n{}",
    ],
)
def test_classes_that_are_reached_by_their_names_are_known(made):
    code = "from airflow.providers.airbyte.operators import airbyte as ops\n" + made
    call = "s = S(task_id='t', {})\nf(s.output{})\n"
    comment = "# TODO subclasses\n" if "type(" in made else ""

    assert body(code.format("") + call.format("asynchronous=True", "")) == (
        code.format(comment).replace("airflow.providers.airbyte", "airflow_provider_airbyte_sme")
        + call.format('airbyte_conn_id="airbyte_default", wait_for_completion=False', '["job_id"]')
    )


@pytest.mark.parametrize(
    ("use", "comment"),
    [
        ("x = getattr(a, 'asynchronous')", "attributes-of-tasks"),
        ("setattr(a, 'wait_seconds', 5)", "attributes-of-tasks"),
        ("x = getattr(a, 'retries')", None),
        ("x = getattr(pod, 'api_version')", None),
        ("x = getattr(h, 'get_job_status')(1)", "other-members-of-the-hook"),
        ("x = getattr(h, 'get_job')(1)", None),
        (
            "def f(hook):\n    {}return getattr(hook, 'wait_for_job')(1)",
            "objects-that-may-be-the-hook",
        ),
        ("monkeypatch.setattr(AirbyteHook, 'get_job_status', f)", "mocks"),
        (
            "monkeypatch.setattr('airflow_provider_airbyte_sme.hooks.airbyte.AirbyteHook.X', f)",
            None,
        ),
        ("register([Sync, Sensor])", "classes-that-are-created-elsewhere"),
        ("register({'sync': Sync})", "classes-that-are-created-elsewhere"),
        ("isinstance(a, (Sync, Sensor))", None),
        ("PATH = Sync.__module__ + '.Sync'", "classes-that-are-created-elsewhere"),
        ("pull = ti.xcom_pull", "the-job-id"),
    ],
)
def test_names_and_classes_that_are_passed_on_have_a_comment(use, comment):
    made = "a = Sync(task_id='a', airbyte_conn_id='c')\nh = AirbyteHook('c')\n"
    code = made + (use if "{}" in use else "{}" + use) + "\n"
    indent = "    " if "{}" in use else ""

    assert body(code.replace("{}", "")) == code.replace(
        "{}", f"# TODO {comment}\n{indent}" if comment else ""
    )


@pytest.mark.parametrize(
    ("code", "has_comment"),
    [
        ("", True),
        ("__all__ = ['AirbyteTriggerSyncOperator']\ndag = DAG('d')\n", True),
        ("__all__: list[str] = ['AirbyteTriggerSyncOperator']\ndag = DAG('d')\n", True),
        ("dag = DAG('d')\n", False),
        ("def f(task: 'AirbyteTriggerSyncOperator'): ...\n", False),
        ("x = isinstance(y, AirbyteTriggerSyncOperator)\n", False),
    ],
)
def test_a_class_that_is_imported_for_other_modules_has_a_comment(code, has_comment):
    new = rewritten(
        "from airflow.providers.airbyte.operators.airbyte import AirbyteTriggerSyncOperator\n"
        + code
    )

    comment = "# TODO classes-that-are-created-elsewhere\n" if has_comment else ""
    assert new == (
        f"{comment}from airflow_provider_airbyte_sme.operators.airbyte import "
        f"AirbyteTriggerSyncOperator\n{code}"
    )


def test_code_in_a_text_has_a_comment():
    import_line = "from airflow.providers.airbyte.sensors.airbyte import AirbyteJobSensor"

    assert body(f"TEXT = '''\n{import_line}\n'''\n") == (
        "# TODO classes-that-are-created-elsewhere\nTEXT = '''\n"
        "from airflow_provider_airbyte_sme.sensors.airbyte import AirbyteJobSensor\n'''\n"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "s = Sync.partial(task_id='t', asynchronous=True).expand(connection_id=CS)\n",
            "s = Sync.partial(task_id='t', airbyte_conn_id=\"airbyte_default\", "
            "wait_for_completion=False).expand(connection_id=CS)\n",
        ),
        (
            "s = Sync.partial(task_id='t').expand(asynchronous=[True, x], airbyte_conn_id=IDS)\n",
            "s = Sync.partial(task_id='t').expand(wait_for_completion=[False, not x], "
            "airbyte_conn_id=IDS)\n",
        ),
        (
            "s = Sync.partial(task_id='t', airbyte_conn_id='c').expand(asynchronous=flags)\n",
            "# TODO mapped-asynchronous\n"
            "s = Sync.partial(task_id='t', airbyte_conn_id='c')"
            ".expand(wait_for_completion=flags)\n",
        ),
        (
            f"IDS = ['{UUID}']\ns = Sync.partial(task_id='t').expand("
            "airbyte_conn_id=['c'], connection_id=IDS)\n",
            f"IDS = ['{UUID}']\ns = Sync.partial(task_id='t').expand("
            "airbyte_conn_id=['c'], connection_id=IDS)\n",
        ),
        (
            "s = Sync.partial(task_id='t').expand_kwargs("
            "[{'airbyte_conn_id': x, 'wait_seconds': 1} for x in XS])\n",
            "s = Sync.partial(task_id='t').expand_kwargs("
            "[{'airbyte_conn_id': x, 'poll_interval': 1} for x in XS])\n",
        ),
        (
            "s = Sync.partial(task_id='t').expand_kwargs(listed())\n",
            "# TODO keyword-arguments\ns = Sync.partial(task_id='t').expand_kwargs(listed())\n",
        ),
    ],
)
def test_mapped_tasks(before, after):
    assert body(before) == after


@pytest.mark.parametrize(
    ("use", "new_use"),
    [
        ("f(a.output)", 'f(a.output["job_id"])'),
        ("x = XComArg(a)", 'x = XComArg(a, key="job_id")'),
        ('x = f"{a.output}"', "x = f\"{a.output['job_id']}\""),
        ("x = f'{a.output}'", "x = f'{a.output[\"job_id\"]}'"),
        ("f(*[t.output for t in [a]])", 'f(*[t.output["job_id"] for t in [a]])'),
        ("for t in (a,): f(t.output)", 'for t in (a,): f(t.output["job_id"])'),
        ("b = a\nf(b.output)", 'b = a\nf(b.output["job_id"])'),
        ("b, c = a, 1\nf(b.output)", 'b, c = a, 1\nf(b.output["job_id"])'),
        ("ts = {'a': a}\nf(ts['a'].output)", "ts = {'a': a}\nf(ts['a'].output[\"job_id\"])"),
        ("f(a.output['rows'])", "f(a.output['rows'])"),
        ("f(a.output['return_value'])", 'f(a.output["job_id"])'),
        ("x = XComArg(a, key='return_value')", 'x = XComArg(a, key="job_id")'),
        ("x = XComArg(a, 'return_value')", 'x = XComArg(a, "job_id")'),
        (
            "x = \"{{ ti.xcom_pull(task_ids=['a'])[0] }}\"",
            "x = \"{{ ti.xcom_pull(task_ids=['a'], key='job_id')[0] }}\"",
        ),
        (
            "x = '''{{ ti.xcom_pull(\n  'a'\n) }}'''",
            "x = '''{{ ti.xcom_pull(\n  'a', key='job_id'\n) }}'''",
        ),
        ("x = \"{{ ti.xcom_pull('a',) }}\"", "x = \"{{ ti.xcom_pull('a', key='job_id') }}\""),
        ("f(Other(x='x').output)", None),
        ("f(other('x').output)", "# TODO the-job-id\nf(other('x').output)"),
        ("m = lambda: a\nf(m().output)", 'm = lambda: a\nf(m().output["job_id"])'),
        (
            "m = lambda: Sync(task_id='b', airbyte_conn_id='c')\nf(m().output)",
            "m = lambda: Sync(task_id='b', airbyte_conn_id='c')\nf(m().output[\"job_id\"])",
        ),
        ("m = lambda: BashOperator()\nf(m().output)", None),
        (
            "import common\nm = common.make\nb = m('x')\nf(b.output)",
            "import common\nm = common.make\nb = m('x')\n# TODO the-job-id\nf(b.output)",
        ),
        (
            "from common import make\nb = make('x')\nf(b.output)",
            "from common import make\nb = make('x')\n# TODO the-job-id\nf(b.output)",
        ),
        ("x = a.execute(context)", "# TODO the-job-id\nx = a.execute(context)"),
        ("a.execute(context)", None),
        ("a.execute({})", "# TODO execute-without-a-context\na.execute({})"),
        (
            "a.execute(context=dict())",
            "# TODO execute-without-a-context\na.execute(context=dict())",
        ),
        (
            "Sensor(airbyte_conn_id='c').execute(None)",
            "# TODO execute-without-a-context\nSensor(airbyte_conn_id='c').execute(None)",
        ),
        ("BashOperator().execute({})", None),
        (
            "def f():\n    return Sync(airbyte_conn_id='c').execute({})",
            "def f():\n    # TODO execute-without-a-context\n    # TODO the-job-id\n"
            "    return Sync(airbyte_conn_id='c').execute({})",
        ),
        (
            "for n, t in {'a': a}.items():\n    f(t.output)",
            "for n, t in {'a': a}.items():\n    f(t.output[\"job_id\"])",
        ),
        (
            "for n, t in enumerate([a]):\n    f(t.output)",
            'for n, t in enumerate([a]):\n    f(t.output["job_id"])',
        ),
        ("b = a\na = b\nf(b.output)", 'b = a\na = b\nf(b.output["job_id"])'),
        ("s = Sensor(task_id='s', airbyte_conn_id='c', airbyte_job_id=a.output)", None),
        (
            "s = Sensor.partial(task_id='s', airbyte_conn_id='c').expand(airbyte_job_id=a.output)",
            None,
        ),
        ("i = a.output\ns = Sensor(airbyte_conn_id='c', airbyte_job_id=i)", None),
        (
            "i = a.output\ns = Sensor.partial(airbyte_conn_id='c').expand(airbyte_job_id=i)",
            None,
        ),
        ("i = a.output\nf.expand(x=i)", "# TODO the-job-id\ni = a.output\nf.expand(x=i)"),
        ("i = a.output\nf(i)", 'i = a.output["job_id"]\nf(i)'),
        ("f.expand(x=XComArg(a))", "# TODO the-job-id\nf.expand(x=XComArg(a))"),
        ("f(airbyte_job_id=a.output)", 'f(airbyte_job_id=a.output["job_id"])'),
        ("x = {'airbyte_job_id': a.output}", "x = {'airbyte_job_id': a.output[\"job_id\"]}"),
        ("f([a, a][0].output)", 'f([a, a][0].output["job_id"])'),
        (
            "ts = {}\nts['x'] = a\nf(ts['x'].output, ts.get('x').output)",
            "ts = {}\nts['x'] = a\nf(ts['x'].output[\"job_id\"], ts.get('x').output[\"job_id\"])",
        ),
        (
            "ts = []\nts.append(a)\nfor t in ts:\n    f(t.output)",
            'ts = []\nts.append(a)\nfor t in ts:\n    f(t.output["job_id"])',
        ),
        (
            "for t in {'a': a}.values():\n    f(t.output)",
            "for t in {'a': a}.values():\n    f(t.output[\"job_id\"])",
        ),
        (
            "for t in [a, BashOperator()]:\n    f(t.output)",
            "for t in [a, BashOperator()]:\n    # TODO the-job-id\n    f(t.output)",
        ),
        (
            "f(dag.get_task('a').output)",
            "# TODO the-job-id\nf(dag.get_task('a').output)",
        ),
        (
            "b = a\nb = BashOperator(task_id='b')\nf(b.output)",
            "b = a\nb = BashOperator(task_id='b')\n# TODO the-job-id\nf(b.output)",
        ),
        ("x = ti.xcom_pull(task_ids='a')", "x = ti.xcom_pull(task_ids='a', key=\"job_id\")"),
        ("x = ti.xcom_pull('a')", "x = ti.xcom_pull('a', key=\"job_id\")"),
        ("x = ti.xcom_pull('g.a')", "x = ti.xcom_pull('g.a', key=\"job_id\")"),
        ("x = ti.xcom_pull(a.task_id)", 'x = ti.xcom_pull(a.task_id, key="job_id")'),
        (
            "x = ti.xcom_pull(key='return_value', task_ids='a')",
            "x = ti.xcom_pull(key=\"job_id\", task_ids='a')",
        ),
        ("x = ti.xcom_pull(task_ids='other')", None),
        ("x = ti.xcom_pull(task_ids='a', key='mine')", None),
        (
            "x = ti.xcom_pull(task_ids=['a', 'other'])",
            "# TODO the-job-id\nx = ti.xcom_pull(task_ids=['a', 'other'])",
        ),
        (
            "x = ti.xcom_pull(task_ids=computed())",
            "# TODO the-job-id\nx = ti.xcom_pull(task_ids=computed())",
        ),
        (
            'x = \'{{ ti.xcom_pull(task_ids="a") }} {{ ti.xcom_pull("b") }}\'',
            'x = \'{{ ti.xcom_pull(task_ids="a", key="job_id") }} {{ ti.xcom_pull("b") }}\'',
        ),
        (
            "x = \"{{ ti.xcom_pull(key='return_value', task_ids='a') }}\"",
            "# TODO the-job-id\nx = \"{{ ti.xcom_pull(key='return_value', task_ids='a') }}\"",
        ),
        ("x = \"{{ ti.xcom_pull(task_ids='b') }}\"", None),
        (
            "s = Sensor(task_id='s', airbyte_conn_id='c', "
            "airbyte_job_id=\"{{ ti.xcom_pull(task_ids='a') }}\")",
            None,
        ),
        (
            'x = "{{ ti.xcom_pull(task_ids=params.t) }}"',
            '# TODO the-job-id\nx = "{{ ti.xcom_pull(task_ids=params.t) }}"',
        ),
        ("def f(t):\n    g(t.output)", "def f(t):\n    # TODO the-job-id\n    g(t.output)"),
    ],
)
def test_uses_of_the_result(use, new_use):
    made = "a = Sync(task_id='a', airbyte_conn_id='c')\n"

    assert body(made + use + "\n") == made + (use if new_use is None else new_use) + "\n"


@pytest.mark.parametrize(
    "use",
    [
        "f(ti.xcom_pull(task_ids='a', dag_id='other'))",
        "f(ti.xcom_pull('a', 'other'))",
        "f(ti.xcom_pull())",
        "f(ti.xcom_pull(**options))",
        "f(\"{{ ti.xcom_pull('a', dag_id='other') }}\")",
        "f(\"{{ ti.xcom_pull('a', 'other') }}\")",
        "f(\"{{ ti.xcom_pull('a' ~ x) }}\")",
        "f(\"{{ ti.xcom_pull(task_ids='%s') }}\" % a.task_id)",
        "f(\"{{{{ ti.xcom_pull('{}') }}}}\".format(a.task_id))",
        'f("{{ ti.xcom_pull(task_ids=\'" + a.task_id + "\') }}")',
        'f("{{ ti.xcom_pull(" "task_ids=\'a\') }}")',
        "f(\"{{ ti.xcom_pull(task_ids=params.get('x')) }}\")",
        "f(f\"{{{{ ti.xcom_pull('b') }}}} {{{{ ti.xcom_pull('{x}') }}}}\")",
        "f(XCom.get_one(task_id='a', dag_id='d', run_id='r'))",
        # Airflow does not map over one key of a result.
        "f.expand(x=a.output)",
        "f(a.output.map(g))",
        "f(a.output.zip(b))",
        "f(b.zip(a.output))",
    ],
)
def test_a_result_that_may_be_that_of_a_sync_has_a_comment(use):
    made = "a = Sync(task_id='a', airbyte_conn_id='c')\n"

    assert body(f"{made}{use}\n") == f"{made}# TODO the-job-id\n{use}\n"


def test_a_name_for_several_ids_has_a_comment():
    code = (
        "a = Sync(task_id='a', airbyte_conn_id='c')\n"
        "n = 'a'\nn = 'b'\n{}x = ti.xcom_pull(task_ids=n)\n"
    )

    assert body(code.format("")) == code.format("# TODO the-job-id\n")


@pytest.mark.parametrize(
    "other",
    [
        "def two():\n    return BashOperator(task_id='a')\n",
        "def two():\n    return BashOperator.partial(task_id='a').expand(x=y)\n",
        "def two():\n    @task\n    def a(): ...\n",
        "def two():\n    @task.branch(retries=1)\n    def a(): ...\n",
    ],
)
def test_an_id_that_another_task_has_too_has_a_comment(other):
    made = f"def one():\n    return Sync(task_id='a', airbyte_conn_id='c')\n{other}"
    template = "x = \"{{ ti.xcom_pull('g.a') }}\"\n"
    call = "y = ti.xcom_pull('a')\n"

    assert body(f"{made}{template}{call}") == (
        f"{made}# TODO the-job-id\n{template}# TODO the-job-id\n{call}"
    )


@pytest.mark.parametrize(
    ("template", "new_template"),
    [
        ("{{ ti.xcom_pull('a') }}", None),
        ("{{ti.xcom_pull(task_ids='a')}}", None),
        ("{{ ti.xcom_pull('a') | int }}", "{{ ti.xcom_pull('a', key='job_id') | int }}"),
        ("{{ ti.xcom_pull('a') + 0 }}", "{{ ti.xcom_pull('a', key='job_id') + 0 }}"),
    ],
)
def test_a_template_that_computes_with_the_result_for_a_sensor(template, new_template):
    made = "a = Sync(task_id='a', airbyte_conn_id='c')\n"
    call = 's = Sensor(task_id="s", airbyte_conn_id="c", airbyte_job_id="{}")\n'

    assert body(made + call.format(template)) == made + call.format(new_template or template)


def test_a_function_that_makes_a_task_is_followed():
    code = "def make(n):\n    return Sync(task_id=n, airbyte_conn_id='c')\nf(make('x').output)\n"

    assert body(code).endswith("f(make('x').output[\"job_id\"])\n")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("h = AirbyteHook('c', 'v1')\n", "h = AirbyteHook('c')\n"),
        (
            "h = AirbyteHook(airbyte_conn_id='c', timeout=9)\n",
            "# TODO request-timeout\nh = AirbyteHook(airbyte_conn_id='c')\n",
        ),
        ("x = h.get_job_status(1)\n", "x = h.get_job(1).status\n"),
        ("x = h.get_job_details(job_id=1).status.value\n", "x = h.get_job(job_id=1).status\n"),
        (
            "x = h.get_job_status(1).name\n",
            "# TODO fields-of-a-job\nx = h.get_job(1).status.name\n",
        ),
        ("s = h.get_job_status(1)\nx = s.value\n", "s = h.get_job(1).status\nx = s.value\n"),
        ("x = h.submit_sync_connection(C).job_id\n", "x = h.create_job(C).job_id\n"),
        (
            "j = h.submit_sync_connection(connection_id=C)\n",
            "j = h.create_job(connection_id=C).job\n",
        ),
        (
            "j = h.submit_sync_connection(C)\nx = j.json()['job']['id']\n",
            "j = h.create_job(C).job\nx = j.job_id\n",
        ),
        ("x = h.get_job(1).json()['job']['status']\n", "x = h.get_job(1).status\n"),
        (
            "x = h.get_job(1).json()['attempts']\n",
            "# TODO fields-of-a-job\nx = h.get_job(1).json()['attempts']\n",
        ),
        (
            "x = h.submit_reset_connection(C).status\n",
            'x = h.create_job(C, job_type="reset").job.status\n',
        ),
        (
            "h.wait_for_job(1, 5, None)\n",
            "# TODO wait_for_job\n"
            "h.ensure_succeeded(h.wait_for_job(1, poll_interval=5, timeout=None))\n",
        ),
        (
            "h.wait_for_job(job_id=1)\n",
            "# TODO wait_for_job\nh.ensure_succeeded(h.wait_for_job(job_id=1, timeout=3600))\n",
        ),
        ("h.cancel_job(job_id=1)\n", "h.cancel_job(job_id=1)\n"),
        ("x = h.SUCCEEDED, AirbyteHook.ERROR\n", 'x = "succeeded", "error"\n'),
        (
            "h.airbyte_api.jobs.list_jobs()\n",
            "# TODO other-members-of-the-hook\nh.airbyte_api.jobs.list_jobs()\n",
        ),
        (
            "def f(hook: AirbyteHook):\n    return hook.get_job_status(1)\n",
            "def f(hook: AirbyteHook):\n    return hook.get_job(1).status\n",
        ),
        (
            "def f(hook):\n    return hook.get_job_status(1)\n",
            "def f(hook):\n"
            "    # TODO objects-that-may-be-the-hook\n"
            "    return hook.get_job_status(1)\n",
        ),
        (
            "def f(hook):\n    hook.wait_for_job(1)\n",
            "def f(hook):\n    # TODO objects-that-may-be-the-hook\n    hook.wait_for_job(1)\n",
        ),
        ("BatchHook().wait_for_job(1)\n", "BatchHook().wait_for_job(1)\n"),
        (
            "for i in {'c': h}.values():\n    i.get_job_status(1)\n",
            "for i in {'c': h}.values():\n    i.get_job(1).status\n",
        ),
        (
            "class Mine(AirbyteHook):\n    def __init__(self, c, limit):\n"
            "        super().__init__(c, 'v1')\n        self.limit = limit\nMine('c', 180)\n",
            "# TODO subclasses\n"
            "class Mine(AirbyteHook):\n    def __init__(self, c, limit):\n"
            "        super().__init__(c)\n        self.limit = limit\nMine('c', 180)\n",
        ),
        (
            "class Mine(AirbyteHook):\n    def __init__(self, **kwargs):\n"
            "        AirbyteHook.__init__(self, 'c', 'v1', **kwargs)\n",
            "# TODO subclasses\n"
            "class Mine(AirbyteHook):\n    def __init__(self, **kwargs):\n"
            "        AirbyteHook.__init__(self, 'c', **kwargs)\n",
        ),
        (
            "AirbyteHook.wait_for_job(h, 1)\n",
            "# TODO other-members-of-the-hook\nAirbyteHook.wait_for_job(h, 1)\n",
        ),
        (
            "h.wait_for_job(1, wait_seconds=0)\n",
            "# TODO wait_for_job\n"
            "h.ensure_succeeded(h.wait_for_job(1, poll_interval=1, timeout=3600))\n",
        ),
        (
            "def f(hook: AirbyteHook | None):\n    return hook.get_job_status(1)\n",
            "def f(hook: AirbyteHook | None):\n    return hook.get_job(1).status\n",
        ),
        (
            "def f(hook: Optional[AirbyteHook]):\n    return hook.get_job_status(1)\n",
            "def f(hook: Optional[AirbyteHook]):\n    return hook.get_job(1).status\n",
        ),
        (
            "i: AirbyteHook = find()\nx = i.get_job_status(1)\n",
            "i: AirbyteHook = find()\nx = i.get_job(1).status\n",
        ),
        (
            "try:\n    h.cancel_job(1)\nexcept AirflowException:\n    pass\n",
            "# TODO errors-of-the-hook\n"
            "try:\n    h.cancel_job(1)\nexcept AirflowException:\n    pass\n",
        ),
        (
            "try:\n    h.cancel_job(1)\nexcept Exception:\n    pass\n",
            "try:\n    h.cancel_job(1)\nexcept Exception:\n    pass\n",
        ),
    ],
)
def test_the_hook(before, after):
    made = "h = AirbyteHook('airbyte')\n"
    expected = made + after.replace("x = s.value", "x = s")

    assert body(made + before) == expected


@pytest.mark.parametrize(
    ("members", "use"),
    [
        ("def __init__(self):\n        self.hook = AirbyteHook('c')", "self.hook"),
        ("def __init__(self):\n        self.hook: AirbyteHook = find()", "self.hook"),
        ("hook: AirbyteHook", "self.hook"),
        ("hook = AirbyteHook('c')", "self.hook"),
        ("@property\n    def hook(self):\n        return AirbyteHook('c')", "self.hook"),
        ("@functools.cached_property\n    def h(self):\n        return AirbyteHook('c')", "self.h"),
        ("def hook(self):\n        return AirbyteHook('c')", "self.hook()"),
    ],
)
def test_a_hook_that_an_object_keeps_is_known(members, use):
    code = f"class Runner:\n    {members}\n\n    def run(self):\n        return {use}."

    assert body(f"{code}get_job_status(1)\n") == f"{code}get_job(1).status\n"


def test_what_another_class_keeps_is_not_taken_for_the_hook():
    code = (
        "class One:\n    hook = AirbyteHook('c')\n"
        "class Other:\n    hook = BatchHook()\n"
        "    def run(self):\n        return self.hook.get_job(1)['x']\n"
    )

    assert body(code) == code


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            'X = {"operator": "airflow.providers.airbyte.operators.airbyte.'
            'AirbyteTriggerSyncOperator", "asynchronous": True, "airbyte_conn_id": "c"}\n',
            'X = {"operator": "airflow_provider_airbyte_sme.operators.airbyte.'
            'AirbyteTriggerSyncOperator", "wait_for_completion": False, "airbyte_conn_id": "c"}\n',
        ),
        (
            "X = 'airflow.providers.airbyte.sensors.airbyte.AirbyteJobSensor'\n",
            "# TODO classes-that-are-created-elsewhere\n"
            "X = 'airflow_provider_airbyte_sme.sensors.airbyte.AirbyteJobSensor'\n",
        ),
        (
            "x = import_module('airflow.providers.airbyte.sensors.airbyte')\n",
            "x = import_module('airflow_provider_airbyte_sme.sensors.airbyte')\n",
        ),
        (
            "@mock.patch('airflow.providers.airbyte.hooks.airbyte.AirbyteHook.get_job_status')\n"
            "def test(p): ...\n",
            "# TODO mocks\n"
            "@mock.patch('airflow_provider_airbyte_sme.hooks.airbyte.AirbyteHook.get_job')\n"
            "def test(p): ...\n",
        ),
        (
            "@mock.patch('airflow.providers.airbyte.hooks.airbyte.AirbyteHook')\n"
            "def test(p): ...\n",
            "@mock.patch('airflow_provider_airbyte_sme.hooks.airbyte.AirbyteHook')\n"
            "def test(p): ...\n",
        ),
        (
            "m.setattr('airflow.providers.airbyte.hooks.airbyte.AirbyteHook.wait_for_job', f)\n",
            "# TODO mocks\n"
            "m.setattr('airflow_provider_airbyte_sme.hooks.airbyte.AirbyteHook.wait_for_job', f)\n",
        ),
        (
            "patch.multiple('airflow.providers.airbyte.hooks.airbyte.AirbyteHook', get_job=f)\n",
            "# TODO mocks\n"
            "patch.multiple('airflow_provider_airbyte_sme.hooks.airbyte.AirbyteHook', get_job=f)\n",
        ),
        (
            "mock.patch.object(AirbyteHook, 'get_job_status')\n",
            "# TODO mocks\nmock.patch.object(AirbyteHook, 'get_job')\n",
        ),
        ("make(Sync, wait=1)\n", "# TODO classes-that-are-created-elsewhere\nmake(Sync, wait=1)\n"),
        ("isinstance(task, Sync)\n", "isinstance(task, Sync)\n"),
        (
            'TEXT = """\n'
            'operator: airflow.providers.airbyte.sensors.airbyte.AirbyteJobSensor\n"""\n',
            "# TODO classes-that-are-created-elsewhere\n"
            'TEXT = """\n'
            'operator: airflow_provider_airbyte_sme.sensors.airbyte.AirbyteJobSensor\n"""\n',
        ),
    ],
)
def test_class_paths_and_classes_as_values(before, after):
    assert body(before) == after


def test_a_subclass_has_a_comment_and_new_arguments():
    assert body(
        """\
        class Mine(Sync):
            def __init__(self, **kwargs):
                super().__init__(asynchronous=True, **kwargs)
        m = Mine(task_id="m", wait_seconds=1)
        n = Mine.partial(task_id="n", wait_seconds=1)
        f(m.output)
        """
    ) == dedent(
        """\
        # TODO subclasses
        class Mine(Sync):
            def __init__(self, **kwargs):
                super().__init__(wait_for_completion=False, **kwargs)
        m = Mine(task_id="m", poll_interval=1)
        n = Mine.partial(task_id="n", poll_interval=1)
        f(m.output["job_id"])
        """
    )


@pytest.mark.parametrize(
    "init", ["super(Mine, self).__init__(", "super().__init__(", "Sync.__init__(self, "]
)
def test_each_way_to_call_the_official_constructor_is_rewritten(init):
    code = "{}class Mine(Sync):\n    def __init__(self, **kw):\n        {}{}=True, **kw)\n"

    assert body(code.format("", init, "asynchronous")) == (
        code.format("# TODO subclasses\n", init, "wait_for_completion").replace("True", "False")
    )


def test_a_subclass_with_the_official_parameters_is_called_with_ours():
    code = "class Mine(Sync):\n    ui_color = 'red'\nMine(task_id='m', wait_seconds=1)\n"

    assert body(code).endswith(
        "Mine(task_id='m', airbyte_conn_id=\"airbyte_default\", poll_interval=1)\n"
    )


@pytest.mark.parametrize(
    ("init", "is_renamed"),
    [
        ("self, note, **kwargs): super().__init__(**kwargs)", True),
        ("self, *, note, **kw): Sync.__init__(self, **kw)", True),
        ("self, asynchronous=False, **kwargs): super().__init__(**kwargs)", False),
        ("self, **kwargs): super().__init__(**self.changed(kwargs))", False),
        ("self, **kwargs): kwargs.pop('asynchronous'); super().__init__(**kwargs)", False),
        ("self, asynchronous): super().__init__(task_id='m')", False),
    ],
)
def test_what_a_subclass_passes_on_is_renamed_where_it_is_given(init, is_renamed):
    code = f"class Mine(Sync):\n    def __init__({init}\n"
    new = "wait_for_completion=False" if is_renamed else "asynchronous=True"

    assert body(code + "Mine(task_id='m', asynchronous=True)\n") == (
        f"# TODO subclasses\n{code}Mine(task_id='m', {new})\n"
    )


def test_a_class_that_inherits_its_parameters_is_called_as_before():
    code = (
        "class One(Sync):\n    def __init__(self, asynchronous=False, **kwargs):\n"
        "        super().__init__(**kwargs)\n"
        "class Two(One):\n    pass\nTwo(task_id='m', asynchronous=True)\n"
    )

    assert body(code).endswith("Two(task_id='m', asynchronous=True)\n")


OFFICIAL = (
    "from airflow.providers.airbyte.operators.airbyte import AirbyteTriggerSyncOperator as Op"
)
OURS = OFFICIAL.replace("airflow.providers.airbyte", "airflow_provider_airbyte_sme")


@pytest.mark.parametrize(
    ("imports", "has_comment"),
    [
        (f"try:\n    {OFFICIAL}\nexcept ImportError:\n    Op = None\n", False),
        (f"try:\n    {OURS}\nexcept ImportError:\n    {OFFICIAL}\n", True),
        (f"try:\n    {OFFICIAL}\nexcept ImportError:\n    from mine import Op\n", True),
        (f"if x:\n    {OFFICIAL}\nelse:\n    class Op: ...\n", True),
        (f"{OFFICIAL}\nfrom mine import Other\nOp = Op if x else Other\n", True),
    ],
)
def test_a_name_for_several_classes_has_a_comment(imports, has_comment):
    new = rewritten(f"{imports}Op(task_id='t', airbyte_conn_id='c', asynchronous=True)\n")

    comment = "# TODO names-for-several-classes\n" if has_comment else "\n"
    assert new.endswith(
        f"{comment}Op(task_id='t', airbyte_conn_id='c', wait_for_completion=False)\n"
    )


def test_a_function_with_bound_arguments_keeps_its_connection():
    code = (
        "from functools import partial\n"
        "make = partial(Sync, airbyte_conn_id='c', {})\nmake(task_id='t')\n"
    )

    assert body(code.format("asynchronous=True")) == code.format("wait_for_completion=False")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "Sync(task_id='t', airbyte_conn_id='c', timeout=None)\n",
            "# TODO no-timeout\nSync(task_id='t', airbyte_conn_id='c')\n",
        ),
        (
            "Sync(airbyte_conn_id='c', connection_id='mine')\n",
            "# TODO connection_id-is-no-uuid\nSync(airbyte_conn_id='c', connection_id='mine')\n",
        ),
        (f"Sync(airbyte_conn_id='c', connection_id='{UUID}')\n", None),
        (f"ID = '{UUID}'\nSync(airbyte_conn_id='c', connection_id=ID)\n", None),
        (
            "ID = ''\nSync(airbyte_conn_id='c', connection_id=ID)\n",
            "ID = ''\n# TODO connection_id-is-no-uuid\n"
            "Sync(airbyte_conn_id='c', connection_id=ID)\n",
        ),
        (
            f"ID = ['{UUID}']\nSync(airbyte_conn_id='c', connection_id=ID)\n",
            f"ID = ['{UUID}']\n# TODO connection_id-is-no-uuid\n"
            "Sync(airbyte_conn_id='c', connection_id=ID)\n",
        ),
        ("Sync(airbyte_conn_id='c', connection_id='{{ var.value.x }}')\n", None),
        (
            "ID = os.getenv('ID', 'mine')\nSync(airbyte_conn_id='c', connection_id=ID)\n",
            "ID = os.getenv('ID', 'mine')\n# TODO connection_id-is-no-uuid\n"
            "Sync(airbyte_conn_id='c', connection_id=ID)\n",
        ),
        (
            "Sync(airbyte_conn_id='c', connection_id=Variable.get('id', default_var=''))\n",
            "# TODO connection_id-is-no-uuid\n"
            "Sync(airbyte_conn_id='c', connection_id=Variable.get('id', default_var=''))\n",
        ),
        (f"Sync(airbyte_conn_id='c', connection_id=environ.get('ID', '{UUID}'))\n", None),
        ("Sync(airbyte_conn_id='c', connection_id=environ.get('ID'))\n", None),
        (
            "NAME = 'c',\nSensor(airbyte_conn_id=NAME)\n",
            "NAME = 'c',\n# TODO airbyte_conn_id-is-no-text\nSensor(airbyte_conn_id=NAME)\n",
        ),
        (
            "Sync(airbyte_conn_id=['c'])\n",
            "# TODO airbyte_conn_id-is-no-text\nSync(airbyte_conn_id=['c'])\n",
        ),
        ("NAME = 'c'\nSync(airbyte_conn_id=NAME)\n", None),
        (
            "Sensor(airbyte_conn_id='c', deferrable=True, max_wait=9)\n",
            "Sensor(airbyte_conn_id='c', deferrable=True)\n",
        ),
        ("Sensor(airbyte_conn_id='c', max_wait=9, timeout=0)\n", None),
        (
            "Sensor(airbyte_conn_id='c', deferrable=x, max_wait=9)\n",
            "# TODO pokes-and-deferrable\nSensor(airbyte_conn_id='c', deferrable=x, max_wait=9)\n",
        ),
    ],
)
def test_values_that_are_refused_here(before, after):
    assert body(before) == (before if after is None else after)


@pytest.mark.parametrize(
    "code",
    [
        "if x:\n    pass\nelif make(Sync):\n    pass\nelse:\n    pass\n",
        "if x: make(Sync)\n",
        "with make(Sync) as m:\n    pass\n",
        "def f(m=make(Sync)):\n    pass\n",
        "@decorated(Sync)\ndef f():\n    pass\n",
        "x = 1; make(Sync); make(Sync)\n",
        "match make(Sync):\n    case 1:\n        pass\n",
        "async def f():\n    await make(Sync)\n",
        "class A:\n    x = make(Sync)\n",
        "while make(Sync):\n    pass\n",
    ],
)
def test_a_comment_may_stand_above_every_statement(code):
    assert body(code).count("# TODO classes-that-are-created-elsewhere") == 1


@pytest.mark.parametrize(
    "source",
    [
        "import os\n",
        "from airflow.providers.http.hooks.http import HttpHook\nairbyte = HttpHook()\n",
        '"""See airflow.providers.airbyte.operators.airbyte."""\n',
        "# from airflow.providers.airbyte.operators.airbyte import AirbyteTriggerSyncOperator\n",
        "from airflow.providers.airbyte_advm.hooks.airbyte import AirbyteHook\nAirbyteHook()\n",
        "from airflow_provider_airbyte_sme.operators.airbyte import AirbyteTriggerSyncOperator\n",
        "from airbyte_api.models import JobStatusEnum  # not airflow.providers\n",
    ],
)
def test_a_file_without_the_official_provider_is_not_touched(source):
    assert rewrite(source.encode()).source == source.encode()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_encoding_and_line_endings_stay(encoding, newline):
    declared = "# -*- coding: latin-1 -*-\n" if encoding == "latin-1" else ""
    source = f"{declared}{IMPORTS}# é\tx  \nmake(Sync)\n\n\n".replace("\n", newline)
    new = rewrite(source.encode(encoding)).source
    comment = f"{Reason.CLASS_ELSEWHERE.comment}{newline}"

    text = source.replace("airflow.providers.airbyte", "airflow_provider_airbyte_sme")
    assert new == text.replace("make(", comment + "make(").encode(encoding)


def test_what_is_not_python_is_refused():
    with pytest.raises(libcst.ParserSyntaxError):
        rewrite(b"from airflow.providers.airbyte import (\n")
