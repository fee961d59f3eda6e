-- Polls that were due and gave no readout, as the gateways tell: why a reading is missing.

create table missed_polls (
    meter_id    int not null references meters,
    due_at      timestamptz not null,
    reason      text not null,                                -- telemetry.wire.MissReason, or a newer gateway's
    gateway_id  int not null references gateways,
    utility_id  int not null references utilities,
    received_at timestamptz not null default now(),
    primary key (meter_id, due_at)
);
create index missed_polls_by_utility on missed_polls (utility_id, due_at);
