-- What validation says of readings, what is found by it, what people do with findings, and who is told of them.

-- One row per block of registers that was ever validated. A validator locks it while it works on the block,
-- and counts it up: a series remembered from an older generation has been changed by another validator.
create table validation_blocks (
    block      int primary key,                               -- block_of(register_id)
    generation bigint not null default 0
);

-- What a utility wants of validation's rules where it differs from what is built in, from which day on. The latest
-- row of a scope, name and day counts; nothing is altered, so what held when stays to be seen.
create table rule_parameters (
    id         bigint generated always as identity primary key,
    utility_id int not null references utilities,
    medium     smallint,                                      -- OBIS value group A; null: every medium
    obis       text,                                          -- one kind of register; null: every register
    name       text not null,                                 -- leak.days; leak: the rule as a whole
    value      text not null,                                 -- a figure; on, off; default: as built in
    valid_from date not null,                                 -- local day, included
    author     text not null,
    reason     text not null,
    set_at     timestamptz not null default now(),
    check (medium is null or obis is null)                    -- an OBIS code names its medium
);
create index rule_parameters_by_utility on rule_parameters (utility_id, id);
create trigger append_only before update or delete on rule_parameters
    for each row execute function refuse_change();

-- What is said of a single reading. A valid reading has no row here.
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

-- What anomaly detection found: of a register, or of a gateway, where `line` may say of which of its lines.
create table findings (
    id          bigint generated always as identity primary key,
    utility_id  int not null references utilities,
    register_id int references registers,
    kind        text not null,                                -- negative_step.glitch, stuck ...
    severity    text not null check (severity in ('info', 'warning', 'alarm')),
    started_at  timestamptz not null,
    ended_at    timestamptz,                                  -- null: still open
    evidence    jsonb not null,                               -- numbers that a person can check
    state       text not null default 'open' check (state in ('open', 'acknowledged', 'resolved', 'false alarm')),
    detected_at timestamptz not null default now(),
    gateway_id  int references gateways,
    line        text not null default '',
    assignee    text not null default '',                     -- a login; empty: nobody
    unique (register_id, kind, started_at),
    check (num_nonnulls(register_id, gateway_id) = 1)
);
create index findings_by_utility on findings (utility_id, started_at desc);
create unique index findings_of_gateways on findings (gateway_id, line, kind, started_at)
    where gateway_id is not null;

-- What people did with findings. Only added to: a finding's state and assignee are what its last change says, and
-- nothing else sets them, so that there is no state without somebody who gave it.
create table finding_changes (
    id         bigint generated always as identity primary key,
    utility_id int not null references utilities,
    finding_id bigint not null references findings,           -- no cascade: what people dealt with is never removed
    state      text check (state in ('open', 'acknowledged', 'resolved', 'false alarm')),  -- null: as it was
    assignee   text,                                          -- null: as it was; empty: nobody
    note       text not null default '',
    author     text not null check (author <> ''),
    created_at timestamptz not null default now(),
    check (state is not null or assignee is not null or note <> '')
);
create index finding_changes_of_finding on finding_changes (finding_id, id);
create trigger append_only before update or delete on finding_changes
    for each row execute function refuse_change();

create function take_finding_change() returns trigger
    language plpgsql security definer set search_path = public, pg_temp as $$
begin
    update findings set state = coalesce(new.state, state), assignee = coalesce(new.assignee, assignee)
    where id = new.finding_id and utility_id = new.utility_id;
    if not found then
        raise exception 'a finding is changed by its own utility' using errcode = 'check_violation';
    end if;
    return null;
end $$;
create trigger takes_effect after insert on finding_changes
    for each row execute function take_finding_change();

-- Who is told of findings, and by which way.
create table alarm_routes (
    id            int generated always as identity primary key,
    utility_id    int not null references utilities,
    name          text not null,
    way           text not null check (way in ('email', 'webhook')),
    target        text not null,                              -- an address, or a URL
    secret        text,                                       -- whsec_ and base64; signs webhooks
    severity      text not null default 'warning' check (severity in ('info', 'warning', 'alarm')),
    quiet_from    time,                                       -- local; only alarms are told in between
    quiet_to      time check ((quiet_to is null) = (quiet_from is null)),
    digest_at     time,                                       -- local; one message a day. null: as it happens
    active        boolean not null default true,
    since         timestamptz not null default now(),         -- what was found before is not told
    told_at       timestamptz,                                -- the last message that was taken
    failures      int not null default 0,                     -- in a row
    failure       text not null default '',
    retry_at      timestamptz,
    allow_private boolean not null default false,             -- a webhook may go into the operator's own network
    unique (utility_id, name),
    check ((secret is not null) = (way = 'webhook'))
);

-- What was told to whom.
create table alarms_told (
    route_id   int not null references alarm_routes,
    finding_id bigint not null references findings on delete cascade,
    utility_id int not null references utilities,
    told_at    timestamptz not null default now(),
    primary key (route_id, finding_id)
);
create index alarms_told_by_finding on alarms_told (finding_id);

-- What a house used and what its flats did, by local day: counted from the readings, anew whenever some came.
create table balance_days (
    site_id    int not null references sites,
    medium     smallint not null,
    day        date not null,                                 -- local
    utility_id int not null references utilities,
    obis       text not null,                                 -- of the house meter's register
    unit       text not null,                                 -- of all figures; micro-units
    house      bigint,                                        -- null: not known
    points     int[] not null,                                -- service points behind the house, by id
    used       bigint[] not null,                             -- of each; null: not known
    measured   boolean[] not null,                            -- from readings; false: interpolated, or not known
    primary key (site_id, medium, day)
);
create index balance_days_by_utility on balance_days (utility_id, day);

-- Houses whose readings were judged, and the local days that may change by it. A day is counted when it is over.
create table balance_queue (
    site_id   int not null references sites,
    day       date not null,
    marked_at timestamptz not null default now(),             -- the first time since it was counted
    primary key (site_id, day)
);
