"""A web server with the webhook, the DAG that it starts, and calls of it."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

from tests.traces import traces

WEBHOOK_SECRET = "q7Lr2xWm9Zt4Vb8Nc1Kd6Hf3Jg5Ps0Ya-_"
DAG_ID = "downstream"
_ASSET_NAMES = "airbyte_sme/webhook/%"


class Response(NamedTuple):
    """What the caller of the webhook gets."""

    status: int
    body: str
    headers: Mapping[str, str]


def call(
    url: str,
    body: Any,
    *,
    conn_id: str = "airbyte_sme_default",
    secret: str = WEBHOOK_SECRET,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """
    Call the webhook.

    :param url: Of the web server, with the path at which Airflow is.
    :param body: Bytes; chunks of them, which are sent without a length; or anything else, as JSON.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
    path = f"{parts.path}/airbyte-sme/webhook/{quote(conn_id, safe='')}/{quote(secret, safe='')}"
    if not isinstance(body, bytes | Iterator):
        body = json.dumps(body).encode()
    try:
        connection.request(
            method, path, body, dict(headers or {}), encode_chunked=isinstance(body, Iterator)
        )
        response = connection.getresponse()
        text = response.read().decode()
    finally:
        connection.close()
    traces.note("a response of the webhook", f"{text} {response.getheaders()}")
    return Response(response.status, text, dict(response.getheaders()))


def notification(job_id: int, connection_id: str, **data: Any) -> dict[str, Any]:
    """Return what Airbyte posts about a job that has succeeded."""
    return {
        "text": "Your connection has just succeeded",
        "blocks": [],
        "data": {
            "workspace": {"id": connection_id, "name": "Analytics", "url": "http://airbyte"},
            "connection": {"id": connection_id, "name": "crm to lake", "url": "http://airbyte"},
            "jobId": job_id,
            "recordsCommitted": 10,
            "success": True,
            **data,
        },
    }


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve an ASGI application on loopback, and return its URL."""
    import uvicorn

    # Without a configuration of its own, uvicorn logs to where the tests read.
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def schedule_dag(connection_id: str) -> None:
    """Have Airflow know a DAG that is scheduled on the asset of a connection, and no other one."""
    from airflow.models.asset import AssetActive, AssetModel, DagScheduleAssetReference
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session

    from airflow_provider_airbyte_sme.assets import airbyte_webhook_asset

    asset = airbyte_webhook_asset(connection_id)
    with create_session() as session:
        model = AssetModel(name=asset.name, uri=asset.uri)
        session.add(model)
        session.merge(DagBundleModel(name="dags"))
        session.flush()
        session.add(AssetActive.for_asset(model))
        session.merge(
            DagModel(
                dag_id=DAG_ID,
                bundle_name="dags",
                fileloc="downstream.py",
                is_paused=False,
                is_stale=False,
            )
        )
        session.flush()
        session.add(DagScheduleAssetReference(asset_id=model.id, dag_id=DAG_ID))


def forget_dag() -> None:
    """Have Airflow forget the DAG, the assets of webhooks, and their events."""
    from airflow.models.asset import (
        AssetActive,
        AssetDagRunQueue,
        AssetEvent,
        AssetModel,
        DagScheduleAssetReference,
    )
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import delete, select

    # Other tests of this process have assets and DAGs of their own in the same database.
    ours = select(AssetModel.id).where(AssetModel.name.like(_ASSET_NAMES))
    with create_session() as session:
        for statement in (
            *(
                delete(model).where(model.asset_id.in_(ours))
                for model in (AssetDagRunQueue, AssetEvent, DagScheduleAssetReference)
            ),
            delete(AssetActive).where(AssetActive.name.like(_ASSET_NAMES)),
            delete(AssetModel).where(AssetModel.name.like(_ASSET_NAMES)),
            delete(DagModel).where(DagModel.dag_id == DAG_ID),
        ):
            # SQLAlchemy 1.4, of Airflow 3.0, cannot find the objects of a LIKE by itself.
            session.execute(statement, execution_options={"synchronize_session": False})


def emitted() -> list[dict[str, Any]]:
    """Return what the events say that Airflow has."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    ours = select(AssetModel.id).where(AssetModel.name.like(_ASSET_NAMES))
    with create_session() as session:
        found: Iterable[Any] = session.scalars(
            select(AssetEvent.extra).where(AssetEvent.asset_id.in_(ours))
        )
        extras = [dict(extra) for extra in found]
    traces.note("the events", extras)
    return extras


def queued_dags() -> list[str]:
    """Return the DAGs that Airflow is about to start."""
    from airflow.models.asset import AssetDagRunQueue
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return list(session.scalars(select(AssetDagRunQueue.target_dag_id)))
