"""`/health`: the only open endpoint, for load balancers and supervisors. Says nothing about the content."""

from importlib.metadata import version

from fastapi import APIRouter, Request, Response

from api.identity.authentication import OPEN
from api.v1.models import ServiceHealth
from api.web.services import services

router = APIRouter(tags=["health"])


@router.get("/health", dependencies=[OPEN], summary="Whether the API and its database answer")
async def health(request: Request, response: Response) -> ServiceHealth:
    """200 if all is well, else 503; within two seconds, whatever hangs."""
    if not await services(request).pulse.ask():
        response.status_code = 503
        return ServiceHealth(status="degraded", database="unreachable", version=version("hesper"))
    return ServiceHealth(status="ok", database="ok", version=version("hesper"))
