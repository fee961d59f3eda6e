-- What people ask of gateways, and every answer. Ingesters publish what is due (ingest/mqtt/downlink.py).

-- Done once, in time. A row is added by who asks; only its state changes, by ingesters.
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

create constraint trigger audited after insert on gateway_commands
    deferrable initially deferred for each row execute function audit_change();
create constraint trigger audited after insert on gateway_configurations
    deferrable initially deferred for each row execute function audit_change();
