-- What was read. Raw readings and telegrams are never updated, and deleted by nothing but retention.

create table readings (
    register_id int not null,
    measured_at timestamptz not null,
    value       bigint not null,                              -- micro-units of registers.unit
    status      smallint not null default 0,                  -- telemetry.Status
    received_at timestamptz not null default now(),
    primary key (register_id, measured_at)
);

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

-- Where new readings arrived: blocks of 32 registers by UTC day, claimed by validators.
create table validation_queue (
    block     int not null,                                   -- register_id / 32
    day       date not null,
    marked_at timestamptz not null default clock_timestamp(),
    primary key (block, day)
);
