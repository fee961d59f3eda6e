"""`/health`: the only open endpoint, for load balancers and supervisors. Says nothing about the content."""

from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from psycopg import Error
from psycopg_pool import PoolTimeout

from api.identity.authentication import OPEN
from api.v1.models import ServiceHealth
from api.web.services import Services, services

router = APIRouter(tags=["health"])

_PROBE_SECONDS = 2.0


@router.get("/health", dependencies=[OPEN], summary="Whether the API and its database answer")
def health(response: Response, shared: Annotated[Services, Depends(services)]) -> ServiceHealth:
    """200 if all is well, else 503."""
    try:
        with shared.pool.connection(timeout=_PROBE_SECONDS) as connection:
            connection.execute("select 1")
    except (Error, PoolTimeout):
        response.status_code = 503
        return ServiceHealth(status="degraded", database="unreachable", version=version("hesper"))
    return ServiceHealth(status="ok", database="ok", version=version("hesper"))
