-- Who and what: utilities, their sites and gateways, meters, registers, service points and installations.
-- Runs on any PostgreSQL >= 15. Values are micro-units (bigint, millionths of the register's unit).

create table utilities (
    id                  int generated always as identity primary key,
    code                text not null unique check (code ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
    name                text not null,
    time_zone           text not null,                        -- IANA name; periods begin at local midnight
    reading_day         smallint not null default 1 check (reading_day between 1 and 28),
    boundary_tolerance  interval not null default '2 hours',  -- how far from the boundary a reading may lie
    interpolation_limit interval not null default '3 days'    -- longest gap that interpolation may bridge
);

create table sites (
    id         int generated always as identity primary key,
    utility_id int not null references utilities,
    parent_id  int references sites,
    code       text not null,
    name       text not null,
    address    text not null default '',
    unique (utility_id, code)
);

create table gateways (
    id         int generated always as identity primary key,
    utility_id int not null references utilities,
    site_id    int references sites,
    code       text not null check (code ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'),
    kind       text not null default 'field' check (kind in ('field', 'import')),  -- import: any meter of the utility
    state      text not null default 'never seen' check (state in ('never seen', 'online', 'offline')),
    state_at   timestamptz,
    health     jsonb,                                         -- the last health message as it came
    health_at  timestamptz,
    unique (utility_id, code)
);

create table meters (
    id             int generated always as identity primary key,
    utility_id     int not null references utilities,
    gateway_id     int references gateways,                   -- where it is read; null: by any gateway of the utility
    site_id        int references sites,
    code           text not null check (code ~ '^[A-Z]{3}-[0-9A-Z][0-9A-Z.]{0,31}$'),  -- the meter id
    model          text not null default '',
    medium         smallint not null,                         -- OBIS value group A
    verified_until date,
    created_at     timestamptz not null default now(),
    unique (utility_id, code)
);

create table registers (
    id                 int generated always as identity primary key,
    utility_id         int not null references utilities,
    meter_id           int not null references meters,
    obis               text not null,
    unit               text not null,                         -- UCUM
    kind               text not null check (kind in ('counter', 'gauge')),
    capacity           bigint check (capacity > 0),           -- micro-units at which the register rolls over to 0
    billed             boolean not null default false,
    expected_interval  interval,                              -- how often a reading is due
    boundary_tolerance interval,                              -- overrides the utility's
    validated_until    timestamptz,                           -- readings before this without a mark are valid
    unique (meter_id, obis)
);
create index registers_by_utility on registers (utility_id, id);

create table service_points (
    id         int generated always as identity primary key,
    utility_id int not null references utilities,
    site_id    int references sites,
    code       text not null,
    name       text not null default '',
    medium     smallint not null,
    account    text not null default '',                      -- the billing system's reference
    unique (utility_id, code)
);

-- Which meter measures at which point, from when to when. A swapped meter is two rows, never an edited one.
create table installations (
    id               int generated always as identity primary key,
    service_point_id int not null references service_points,
    meter_id         int not null references meters,
    valid_from       timestamptz not null,
    valid_to         timestamptz check (valid_to > valid_from),
    multiplier       numeric not null default 1 check (multiplier > 0),  -- CT/VT ratio
    start_values     jsonb not null default '{}',             -- {"8-0:1.0.0": micro-units} at valid_from
    end_values       jsonb not null default '{}',             -- the same at valid_to
    unique (service_point_id, meter_id, valid_from)
);
create unique index one_open_installation_per_meter on installations (meter_id, service_point_id) where valid_to is null;
create index installations_by_meter on installations (meter_id);
