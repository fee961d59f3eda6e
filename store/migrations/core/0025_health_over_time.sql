-- What gateways told of themselves, their lines and their meters, kept by the hour; and findings about them.
-- Every figure is the largest or the last of its hour, so a message that comes twice changes nothing.

-- One row for each hour in which a gateway was heard.
create table gateway_hours (
    gateway_id     int not null references gateways,
    hour           timestamptz not null,
    utility_id     int not null references utilities,
    cpu_celsius    real,                                      -- the highest; null: not told
    disk_used      real,                                      -- the largest share, 0 to 1
    unsynchronised boolean not null default false,            -- its clock had no reference at some time
    clock_ahead    real not null,                             -- seconds ahead of ours: the least far, since a message may come late
    primary key (gateway_id, hour)
);
create index gateway_hours_by_hour on gateway_hours (hour);   -- for retention, and who was heard at all

-- Counters of a line since its process began, as the last message of the hour told them.
create table line_hours (
    gateway_id int not null references gateways,
    line       text not null,
    hour       timestamptz not null,
    utility_id int not null references utilities,
    told_at    timestamptz not null,                          -- the instant of that message
    exchanges  bigint not null,
    retries    bigint not null,
    crc_errors bigint not null,
    primary key (gateway_id, line, hour)
);
create index line_hours_by_hour on line_hours (hour);

create index missed_polls_by_gateway on missed_polls (gateway_id, due_at);

-- How far a meter's clock was ahead of its gateway's: the furthest of each day (UTC) on which it was read and
-- was a minute or more.
create table meter_clocks (
    meter_id   int not null references meters,
    day        date not null,
    utility_id int not null references utilities,
    ahead      int not null,                                  -- seconds
    primary key (meter_id, day)
);

-- A finding is of a register, or of a gateway, where `line` may say of which of its lines.
alter table findings
    alter column register_id drop not null,
    add column gateway_id int references gateways,
    add column line       text not null default '',
    add check (num_nonnulls(register_id, gateway_id) = 1);
create unique index findings_of_gateways on findings (gateway_id, line, kind, started_at)
    where gateway_id is not null;

alter table alarm_routes add column allow_private boolean not null default false;  -- of the operator's network
