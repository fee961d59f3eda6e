"""The routes of the pages."""

from api.pages.billing.billing_reading import router as billing_reading
from api.pages.billing.month import router as month
from api.pages.billing.month_actions import router as month_actions
from api.pages.delivery.statement import router as statement
from api.pages.fleet.arrival import router as arrival
from api.pages.fleet.fleet import router as fleet
from api.pages.fleet.meter_list import router as meter_list
from api.pages.fleet.verification import router as verification
from api.pages.frame.events import router as events
from api.pages.frame.problem import router as problem
from api.pages.gateways.gateway import router as gateway
from api.pages.gateways.trend import router as gateway_trend
from api.pages.identity.account import router as account
from api.pages.identity.sign_in import router as sign_in
from api.pages.meters.chart import router as chart
from api.pages.meters.edits import router as meter_edits
from api.pages.meters.meter import router as meter
from api.pages.meters.telegrams import router as meter_telegrams
from api.pages.meters.year import router as meter_year
from api.pages.quarantine.quarantine import router as quarantine
from api.pages.validation.balance import router as balance
from api.pages.validation.findings import router as findings

ROUTERS = (
    problem,
    sign_in,
    account,
    fleet,
    meter_list,
    arrival,
    balance,
    meter,
    chart,
    meter_edits,
    meter_telegrams,
    meter_year,
    gateway,
    gateway_trend,
    findings,
    quarantine,
    verification,
    month,
    month_actions,
    billing_reading,
    statement,
    events,
)
