"""The routes of the pages."""

from api.live import pages as streams
from api.pages.account import router as account
from api.pages.arrival import router as arrival
from api.pages.balance import router as balance
from api.pages.billing_reading import router as billing_reading
from api.pages.chart import router as chart
from api.pages.findings import router as findings
from api.pages.fleet import router as fleet
from api.pages.gateway import router as gateway
from api.pages.gateway_trend import router as gateway_trend
from api.pages.meter import router as meter
from api.pages.meter_edits import router as meter_edits
from api.pages.meter_list import router as meter_list
from api.pages.meter_telegrams import router as meter_telegrams
from api.pages.meter_year import router as meter_year
from api.pages.month import router as month
from api.pages.month_actions import router as month_actions
from api.pages.problem import router as problem
from api.pages.quarantine import router as quarantine
from api.pages.sign_in import router as sign_in
from api.pages.statement import router as statement
from api.pages.verification import router as verification

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
    streams,
)
