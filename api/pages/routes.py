"""The routes of the pages."""

from api.pages.billing import billing_reading, month, month_actions
from api.pages.delivery import statement
from api.pages.fleet import arrival, fleet, meter_list, verification
from api.pages.frame import events, problem
from api.pages.gateways import gateway, trend
from api.pages.identity import account, sign_in
from api.pages.meters import chart, edits, meter, telegrams, year
from api.pages.quarantine import quarantine
from api.pages.validation import balance, findings

ROUTERS = tuple(
    page.router
    for page in (
        *(problem, sign_in, account, events),
        *(fleet, meter_list, arrival, verification),
        *(meter, chart, edits, telegrams, year),
        *(gateway, trend),
        *(balance, findings, quarantine),
        *(month, month_actions, billing_reading, statement),
    )
)
