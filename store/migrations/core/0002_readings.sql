-- What was read, what could not be used, and what did not come. Raw readings and telegrams are never updated, and
-- deleted by nothing but retention.

-- Numbers of telemetry/ (blocks.py, status.py, quality.py) that statements of the database itself need.
create function block_of(register_id int) returns int
    language sql immutable parallel safe
    return register_id / 32;
create function manual_status() returns smallint
    language sql immutable parallel safe
    return 256::smallint;
create function quality(name text) returns smallint
    language sql immutable parallel safe
    return case name when 'edited' then 7 when 'questionable' then 10 when 'validated' then 17 end::smallint;

create table readings (
    register_id int not null,
    measured_at timestamptz not null,
    value       bigint not null,                              -- micro-units of registers.unit
    status      smallint not null default 0,                  -- telemetry.Status
    received_at timestamptz not null default now(),
    primary key (register_id, measured_at)
);

-- Readings by hour and by day, for charts and plausibility; no billed figure rests on them.
-- Buckets begin at full hours and at midnight UTC. Where TimescaleDB offers them, continuous aggregates of the
-- same names and columns take the place of these views.
create view readings_hourly as
select register_id,
       date_trunc('hour', measured_at, 'UTC')             as bucket,
       (array_agg(value order by measured_at))[1]         as first_value,
       (array_agg(value order by measured_at desc))[1]    as last_value,
       min(value)                                         as min_value,
       max(value)                                         as max_value,
       min(measured_at)                                   as first_at,
       max(measured_at)                                   as last_at,
       count(*)                                           as readings
from readings
group by register_id, date_trunc('hour', measured_at, 'UTC');

create view readings_daily as
select register_id,
       date_trunc('day', measured_at, 'UTC')              as bucket,
       (array_agg(value order by measured_at))[1]         as first_value,
       (array_agg(value order by measured_at desc))[1]    as last_value,
       min(value)                                         as min_value,
       max(value)                                         as max_value,
       min(measured_at)                                   as first_at,
       max(measured_at)                                   as last_at,
       count(*)                                           as readings
from readings
group by register_id, date_trunc('day', measured_at, 'UTC');

-- The bytes behind the readings of a meter at an instant: readings join by (registers.meter_id, measured_at).
create table telegrams (
    meter_id    int not null,
    measured_at timestamptz not null,
    gateway_id  int not null,
    epoch       text not null,
    batch       bigint not null,
    raw         bytea not null,
    received_at timestamptz not null default now(),
    primary key (meter_id, measured_at)
);
create index telegrams_by_instant on telegrams using brin (measured_at);  -- for retention, and cheap to write

-- What could not be used, whole, with the reason. A repeated message is one row.
create table quarantine (
    id           bigint generated always as identity primary key,
    utility_id   int references utilities,                    -- null where the topic named none that we know
    topic        text not null,
    reason       text not null,                               -- a short name: unknown_meter, conflict, malformed ...
    detail       text not null,                               -- a sentence for people
    meter        text,
    payload      bytea not null,                              -- a message as it came, or one readout as a batch
    payload_hash bytea not null,
    state        text not null default 'waiting' check (state in ('waiting', 'replayed', 'discarded')),
    received_at  timestamptz not null default now(),
    resolved_at  timestamptz,
    unique (topic, reason, payload_hash)
);
create index quarantine_waiting on quarantine (utility_id, received_at) where state = 'waiting';

-- Where new readings arrived: blocks of registers by UTC day, claimed by validators.
create table validation_queue (
    block     int not null,                                   -- block_of(register_id)
    day       date not null,
    marked_at timestamptz not null default clock_timestamp(),
    primary key (block, day)
);

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
create index missed_polls_by_gateway on missed_polls (gateway_id, due_at);

-- Expected against received: for each register that has an expected interval and each local day of its utility,
-- which of the readings that were due have arrived. Counted from the readings, so late and repeated ones are right.
create table arrivals (
    register_id int not null references registers,
    utility_id  int not null references utilities,
    day         date not null,                                -- local
    slots       bit varying not null,                         -- a bit for each reading that is due, in order; 1: there
    in_time     int not null,                                 -- how many of them had come by 06:00 of the next day
    primary key (register_id, day)
);
create index arrivals_by_day on arrivals (day);               -- for retention

-- Where readings arrived: blocks of registers by UTC day, counted and removed by the process that validates.
-- Rows are only added, so that a writer never waits for who counts: its note is seen together with its readings.
create table arrival_queue (
    block     int not null,
    day       date not null,
    marked_at timestamptz not null default clock_timestamp()
);
