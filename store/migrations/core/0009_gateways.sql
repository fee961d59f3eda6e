-- What gateways tell of themselves, their lines and their meters, what people ask of them, and every answer. The last
-- report of a gateway stands in `gateways` as well.

-- A row for each health message, but for what it says of meters: that is in missed_polls.
create table gateway_health (
    gateway_id            int not null references gateways,
    at                    timestamptz not null,               -- by the gateway's clock, and never beyond the present
    utility_id            int not null references utilities,
    received_at           timestamptz not null default now(),
    clock_ahead           real not null,                      -- seconds ahead of ours as it came; negative: it also was on its way
    clock_synchronised    boolean not null,
    buffered_readouts     bigint not null,                    -- not acknowledged yet
    oldest_unacknowledged timestamptz,
    buffer_full           boolean not null,
    disk_free_bytes       bigint,                             -- null, here and below: not told
    disk_total_bytes      bigint,
    memory_bytes          bigint,
    memory_total_bytes    bigint,
    cpu_celsius           real,
    version               text not null,
    config_version        text not null,                      -- empty: the installer's file
    lines                 jsonb not null,                     -- telemetry.wire.LineHealth of each
    primary key (gateway_id, at)
);
create index gateway_health_by_instant on gateway_health using brin (at);  -- for retention

-- Connected or not, whenever that changed.
create table gateway_states (
    id         bigint generated always as identity primary key,
    utility_id int not null references utilities,
    gateway_id int not null references gateways,
    state      text not null check (state in ('online', 'offline')),
    noticed_at timestamptz not null default now()             -- a last will does not say when
);
create index gateway_states_of on gateway_states (gateway_id, noticed_at);

-- What they told, kept by the hour: every figure is the largest or the last of its hour, so a message that comes twice changes nothing.
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

-- How far a meter's clock was ahead of its gateway's: the furthest of each day (UTC) on which it was read and
-- was a minute or more.
create table meter_clocks (
    meter_id   int not null references meters,
    day        date not null,
    utility_id int not null references utilities,
    ahead      int not null,                                  -- seconds
    primary key (meter_id, day)
);

-- What is done once, in time: ingesters publish what is due (ingest/mqtt/downlink.py). A row is added by who asks; only its state changes, by ingesters.
create table gateway_commands (
    id         bigint generated always as identity primary key,
    wire_id    uuid not null unique default gen_random_uuid(),  -- `id` in the contract: the same however often it is sent
    utility_id int not null references utilities,
    gateway_id int not null references gateways,
    command    text not null,                                 -- read-now, scan ... (docs/gateway-remote.md)
    line       text not null default '',
    meter      text not null default '',
    level      text not null default '',
    author     text not null,
    reason     text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null check (expires_at > created_at),
    state      text not null default 'queued'
               check (state in ('queued', 'sent', 'running', 'done', 'failed', 'expired')),
    state_at   timestamptz not null default now(),
    sent_at    timestamptz                                    -- the last time that the broker took it
);
create index gateway_commands_of on gateway_commands (gateway_id, id);
create index gateway_commands_open on gateway_commands (id) where state in ('queued', 'sent', 'running');

-- The whole text of a configuration. Never updated but for what became of it; to go back is a new version.
create table gateway_configurations (
    id          bigint generated always as identity primary key,
    utility_id  int not null references utilities,
    gateway_id  int not null references gateways,
    version     int not null check (version > 0),             -- counts up by gateway; its text is the contract's `version`
    toml        text not null,                                -- empty: back to the installer's file
    restores    int,                                          -- the earlier version whose text it has
    author      text not null,
    reason      text not null,
    created_at  timestamptz not null default now(),
    state       text not null default 'queued'
                check (state in ('queued', 'sent', 'tried', 'kept', 'rolled back', 'refused', 'superseded')),
    state_at    timestamptz not null default now(),
    sent_at     timestamptz,
    reported_at timestamptz,                                  -- the gateway's instant of the report behind the state
    unique (gateway_id, version)
);
create index gateway_configurations_open on gateway_configurations (id) where state in ('queued', 'sent');

-- Every reply as it came; one that comes twice is kept once.
create table gateway_replies (
    id               bigint generated always as identity primary key,
    utility_id       int not null references utilities,
    gateway_id       int not null references gateways,
    command_id       bigint references gateway_commands,
    configuration_id bigint references gateway_configurations,
    at               timestamptz not null,                    -- the gateway's
    received_at      timestamptz not null default now(),
    state            text not null check (state in ('running', 'done', 'failed')),
    detail           text not null,                           -- a sentence for people
    result           jsonb not null,
    check (num_nonnulls(command_id, configuration_id) = 1)
);
create unique index gateway_replies_once on gateway_replies
    (coalesce(command_id, 0), coalesce(configuration_id, 0), at, state, md5(detail));
create index gateway_replies_to_command on gateway_replies (command_id, id) where command_id is not null;
create index gateway_replies_to_configuration on gateway_replies (configuration_id, at)
    where configuration_id is not null;
create trigger append_only before update or delete on gateway_replies
    for each row execute function refuse_change();
