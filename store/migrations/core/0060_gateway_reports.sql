-- What gateways tell of themselves, as a history. The last of it stands in `gateways` as well.

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

insert into retention (kind, keep, what) values
    ('gateway reports', '60 days', 'what gateways told of their health and connection');

-- One more kind; the others are removed as before.
alter function expire(text, int) rename to expire_other;
create function expire(wanted text, at_most int) returns bigint
    language plpgsql security definer
    set search_path = public, pg_temp set timezone = 'UTC' set lock_timeout = '1s' as $$
declare
    cutoff  timestamptz := now() - (select keep from retention where kind = wanted);
    removed bigint := 0;
    states  bigint := 0;
begin
    if wanted <> 'gateway reports' then
        return expire_other(wanted, at_most);
    end if;
    delete from gateway_health where ctid = any(array(
        select ctid from gateway_health where at < cutoff limit at_most));
    get diagnostics removed = row_count;
    delete from gateway_states where id = any(array(           -- the last one holds, however old it is
        select s.id from gateway_states s where s.noticed_at < cutoff and exists (
            select from gateway_states later where later.gateway_id = s.gateway_id and later.id > s.id)
        limit at_most));
    get diagnostics states = row_count;
    return removed + states;
end $$;
