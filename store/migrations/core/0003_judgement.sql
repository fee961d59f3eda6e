-- What validation and anomaly detection say. A valid reading has no row here.

create table marks (
    register_id int not null,
    measured_at timestamptz not null,
    rule        text not null,                                -- glitch, reset, rollover, swap_suspect ...
    quality     smallint not null,                            -- telemetry.Quality that the reading has for this rule
    usable      boolean not null,                             -- false: never a boundary value
    evidence    jsonb not null,
    author      text not null default 'validation',
    created_at  timestamptz not null default now(),
    primary key (register_id, measured_at, rule)
);

create table findings (
    id          bigint generated always as identity primary key,
    utility_id  int not null references utilities,
    register_id int not null references registers,
    kind        text not null,                                -- negative_step.glitch, stuck ...
    severity    text not null check (severity in ('info', 'warning', 'alarm')),
    started_at  timestamptz not null,
    ended_at    timestamptz,                                  -- null: still open
    evidence    jsonb not null,                               -- numbers that a person can check
    state       text not null default 'open' check (state in ('open', 'acknowledged', 'resolved', 'false alarm')),
    detected_at timestamptz not null default now(),
    unique (register_id, kind, started_at)
);
create index findings_by_utility on findings (utility_id, started_at desc);

-- One row per block of registers that was ever validated. A validator locks it while it works on the block,
-- and counts it up: a series remembered from an older generation has been changed by another validator.
create table validation_blocks (
    block      int primary key,                               -- register_id / 32
    generation bigint not null default 0
);
