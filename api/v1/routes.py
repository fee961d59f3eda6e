"""The routes of `/v1`, in the order of its description."""

from api.live import router as streams
from api.v1.audit import router as audit
from api.v1.billing import router as billing
from api.v1.closes import router as closes
from api.v1.deliveries import router as deliveries
from api.v1.edits import router as edits
from api.v1.exports import router as exports
from api.v1.findings import router as findings
from api.v1.gateway_commands import router as gateway_commands
from api.v1.gateway_configurations import router as gateway_configurations
from api.v1.gateway_findings import router as gateway_findings
from api.v1.gateway_health import router as gateway_health
from api.v1.marks import router as marks
from api.v1.meters import router as meters
from api.v1.quarantine import router as quarantine
from api.v1.readings import router as readings
from api.v1.registry_changes import router as registry_changes
from api.v1.requests import router as requests
from api.v1.service_points import router as service_points
from api.v1.sites import router as sites
from api.v1.statements import router as statements
from api.v1.submissions import router as submissions
from api.v1.supply import router as supply

ROUTERS = (
    sites,
    service_points,
    supply,
    meters,
    registry_changes,
    gateway_health,
    gateway_findings,
    gateway_commands,
    gateway_configurations,
    readings,
    submissions,
    marks,
    edits,
    findings,
    quarantine,
    billing,
    closes,
    deliveries,
    statements,
    exports,
    requests,
    audit,
    streams,
)
