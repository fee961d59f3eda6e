-- The month: versioned, hashed billing readings that are never updated, and exceptions for people.

create table closes (
    id         bigint generated always as identity primary key,
    utility_id int not null references utilities,
    period     text not null check (period ~ '^\d{4}-(0[1-9]|1[0-2])$'),
    starts_at  timestamptz not null,
    ends_at    timestamptz not null check (ends_at > starts_at),
    run        int not null,                                  -- 1, 2 ... a person starts each
    author     text not null,
    closed_at  timestamptz not null default now(),
    summary    jsonb not null,                                -- counts by method and of exceptions
    unique (utility_id, period, run)
);

create table billing_readings (
    id               bigint generated always as identity primary key,  -- also the cursor of those who pull
    utility_id       int not null references utilities,
    close_id         bigint not null references closes,
    service_point_id int not null references service_points,
    obis             text not null,
    period           text not null,
    version          int not null check (version > 0),
    starts_at        timestamptz not null,
    ends_at          timestamptz not null,
    start_offset     interval not null,                       -- local offset from UTC at starts_at
    end_offset       interval not null,
    start_value      bigint not null,                         -- micro-units; null never: no value, no billing reading
    end_value        bigint not null,
    consumption      bigint not null,                         -- micro-units, after rollover and multiplier
    unit             text not null,
    quality          smallint not null,
    start_method     text not null,                           -- set_day, reading, interpolation, installation
    end_method       text not null,
    evidence         jsonb not null,                          -- readings, marks and installations that it rests on
    content_hash     bytea not null,                          -- SHA-256 over the canonical content
    created_at       timestamptz not null default now(),
    unique (service_point_id, obis, period, version)
);
create index billing_readings_by_period on billing_readings (utility_id, period, id);

create table billing_exceptions (
    id               bigint generated always as identity primary key,
    utility_id       int not null references utilities,
    close_id         bigint not null references closes,
    service_point_id int not null references service_points,
    obis             text not null,
    period           text not null,
    reason           text not null,
    detail           text not null,                           -- what is wrong and what can be done
    evidence         jsonb not null,
    created_at       timestamptz not null default now(),
    unique (close_id, service_point_id, obis)
);

create table api_keys (
    id           int generated always as identity primary key,
    utility_id   int not null references utilities,
    name         text not null,
    secret_hash  bytea not null unique,                       -- SHA-256 of a 256-bit random key
    created_at   timestamptz not null default now(),
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz
);

-- What a billing system said it has taken: everything of a period up to a cursor, with control totals.
create table billing_acknowledgements (
    id         bigint generated always as identity primary key,
    utility_id int not null references utilities,
    api_key_id int not null references api_keys,
    period     text not null,
    cursor     bigint not null,                               -- highest billing_readings.id taken
    readings   int not null,                                  -- how many it took in all
    totals     jsonb not null,                                -- {"8-0:1.0.0 m3": "123.456"} as the billing system says
    at         timestamptz not null default now()
);
