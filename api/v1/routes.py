"""The routes of `/v1`, in the order of its description."""

from api.v1.audit import router as audit
from api.v1.billing.closes import router as closes
from api.v1.billing.readings import router as billing
from api.v1.delivery.deliveries import router as deliveries
from api.v1.delivery.exports import router as exports
from api.v1.delivery.statements import router as statements
from api.v1.events import router as events
from api.v1.gateways.commands import router as gateway_commands
from api.v1.gateways.configuration_preview import router as gateway_configuration_preview
from api.v1.gateways.configurations import router as gateway_configurations
from api.v1.gateways.findings import router as gateway_findings
from api.v1.gateways.health import router as gateway_health
from api.v1.quarantine.quarantine import router as quarantine
from api.v1.readings.readings import router as readings
from api.v1.registry.changes import router as registry_changes
from api.v1.registry.installations import router as installations
from api.v1.registry.meter_findings import router as meter_findings
from api.v1.registry.meters import router as meters
from api.v1.registry.service_points import router as service_points
from api.v1.registry.sites import router as sites
from api.v1.registry.supply import router as supply
from api.v1.registry.verifications import router as verifications
from api.v1.submissions.submissions import router as submissions
from api.v1.tasks import router as tasks
from api.v1.validation.edits import router as edits
from api.v1.validation.findings import router as findings
from api.v1.validation.marks import router as marks

ROUTERS = (
    sites,
    service_points,
    installations,
    supply,
    meters,
    verifications,
    meter_findings,
    registry_changes,
    gateway_health,
    gateway_findings,
    gateway_commands,
    gateway_configurations,
    gateway_configuration_preview,
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
    tasks,
    audit,
    events,
)
