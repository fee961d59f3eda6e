-- The registry: utilities, their sites, gateways and meters, the points that they supply, and what changed when.
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
    parent_id  int references sites,                          -- the house that a flat is part of
    code       text not null,
    name       text not null,
    address    text not null default '',
    unique (utility_id, code)
);
create index sites_by_parent on sites (parent_id);

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

-- A wire of a gateway: one serial port, TCP host or radio receiver.
create table lines (
    id         int generated always as identity primary key,
    utility_id int not null references utilities,
    gateway_id int not null references gateways,
    code       text not null,
    protocol   text not null default '',                      -- mbus, modbus, optical ...
    address    text not null default '',                      -- /dev/ttyUSB0, 10.0.0.7:502
    unique (gateway_id, code)
);

create table meters (
    id             int generated always as identity primary key,
    utility_id     int not null references utilities,
    gateway_id     int references gateways,                   -- where it is read; null: by any gateway of the utility
    site_id        int references sites,
    code           text not null check (code ~ '^[A-Z]{3}-[0-9A-Z][0-9A-Z.]{0,31}$'),  -- the meter id
    model          text not null default '',
    medium         smallint not null,                         -- OBIS value group A
    verified_until date,                                      -- the latest of its verifications; null: never told
    created_at     timestamptz not null default now(),
    manufacturer   text generated always as (split_part(code, '-', 1)) stored,
    serial         text generated always as (substr(code, 5)) stored,
    line_id        int references lines,
    qmax           bigint check (qmax > 0),                   -- highest permitted flow, micro-m3/h; null: not known
    imax           bigint check (imax > 0),                   -- largest current, micro-A; null: not known
    phases         smallint check (phases in (1, 3)),         -- that it measures; null: not known
    unique (utility_id, code)
);
create index meters_by_site on meters (site_id);
create index meters_by_gateway on meters (gateway_id, code);
create index meters_by_verification on meters (utility_id, verified_until);

create table verifications (
    utility_id  int not null references utilities,
    meter_id    int not null references meters,
    verified_on date not null,
    valid_until date not null check (valid_until > verified_on),
    certificate text not null default '',
    primary key (meter_id, verified_on)
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
    ended_at   timestamptz,                                   -- delivery ended for good: no meter is missed from then on
    unique (utility_id, code)
);
create index service_points_by_site on service_points (site_id);
create index service_points_by_account on service_points (utility_id, account);
create index service_points_of_account on service_points (utility_id, account) where account <> '';

-- The rating of the main circuit breaker, from a local day on. None before the first: not known.
create table fuses (
    utility_id       int not null references utilities,
    service_point_id int not null references service_points,
    since            date not null,
    amperes          bigint not null check (amperes > 0),     -- micro-A, of each phase
    phases           smallint not null check (phases in (1, 3)),
    primary key (service_point_id, since)
);

-- Who pays from when to when. A service point without any row is not judged by its contracts.
create table contracts (
    utility_id       int not null references utilities,
    service_point_id int not null references service_points,
    valid_from       timestamptz not null,
    valid_to         timestamptz check (valid_to > valid_from), -- null: it goes on
    account          text not null default '',                -- the billing system's reference; may be empty
    primary key (service_point_id, valid_from)
);

-- Which meter measures at which point, from when to when. A swapped meter is two rows, never an edited one. So is
-- another ratio of transformers at the same meter, with the readings at that instant: consumption is a sum over
-- installations, and no more.
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

-- Who changed what, when and why. Written by the triggers below and by nothing else, never updated or deleted.
create table registry_history (
    id         bigint generated always as identity primary key,
    utility_id int not null references utilities,
    changed_at timestamptz not null default now(),
    author     text not null,
    reason     text not null,
    entity     text not null,                                 -- the table
    entry      text not null,                                 -- its code, as people name it
    before     jsonb,                                         -- the fields that changed; null: the row was added
    after      jsonb not null,
    noted_by   xid8 not null default pg_current_xact_id()     -- for the close that drafts what changed (core/0006)
);
create index registry_history_of_entry on registry_history (utility_id, entity, entry, id);
create index registry_history_by_utility on registry_history (utility_id, id);
create index registry_history_by_transaction on registry_history (utility_id, noted_by);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is only added to', tg_table_name using errcode = 'insufficient_privilege';
end $$;
create trigger append_only before update or delete on registry_history
    for each row execute function refuse_change();

create function note_registry_change() returns trigger
    language plpgsql security definer set search_path = public, pg_temp as $$
declare
    was    jsonb := case tg_op when 'UPDATE' then to_jsonb(old) end;
    now_is jsonb := to_jsonb(new);
    gone   jsonb;
    came   jsonb;
    whose  int;
    name   text;
begin
    if tg_op = 'UPDATE' then
        select jsonb_object_agg(key, was -> key), jsonb_object_agg(key, value) into gone, came
        from jsonb_each(now_is) where value is distinct from was -> key;
        if came is null then
            return null;
        end if;
    else
        came := jsonb_strip_nulls(now_is);
    end if;
    whose := coalesce((now_is ->> 'utility_id')::int, (now_is ->> 'id')::int);
    name := case tg_table_name
        when 'registers' then
            (select code from meters where id = (now_is ->> 'meter_id')::int) || ' ' || (now_is ->> 'obis')
        when 'verifications' then (select code from meters where id = (now_is ->> 'meter_id')::int)
        when 'lines' then
            (select code from gateways where id = (now_is ->> 'gateway_id')::int) || ' ' || (now_is ->> 'code')
        when 'installations' then
            (select code from service_points where id = (now_is ->> 'service_point_id')::int) || ' ' ||
            (select code from meters where id = (now_is ->> 'meter_id')::int)
        when 'fuses' then
            (select code from service_points where id = (now_is ->> 'service_point_id')::int) || ' ' ||
            (now_is ->> 'since')
        when 'contracts' then
            (select code from service_points where id = (now_is ->> 'service_point_id')::int) || ' ' ||
            (now_is ->> 'account')
        else now_is ->> 'code'
    end;
    if tg_table_name = 'installations' then
        whose := (select utility_id from service_points where id = (now_is ->> 'service_point_id')::int);
    end if;
    insert into registry_history (utility_id, author, reason, entity, entry, before, after)
    values (whose,
            coalesce(nullif(current_setting('hesper.author', true), ''), session_user),
            coalesce(current_setting('hesper.reason', true), ''),
            tg_table_name, name, gone, came);
    return null;
end $$;

-- Only what people decide: a gateway's state and how far a register is validated change all day.
create trigger history after insert or update on utilities for each row execute function note_registry_change();
create trigger history after insert or update on sites for each row execute function note_registry_change();
create trigger history after insert or update of site_id, code, kind on gateways
    for each row execute function note_registry_change();
create trigger history after insert or update on lines for each row execute function note_registry_change();
create trigger history after insert or update on meters for each row execute function note_registry_change();
create trigger history after insert or update on verifications
    for each row execute function note_registry_change();
create trigger history
    after insert or update of obis, unit, kind, capacity, billed, expected_interval, boundary_tolerance
    on registers for each row execute function note_registry_change();
create trigger history after insert or update on service_points
    for each row execute function note_registry_change();
create trigger history after insert or update on installations
    for each row execute function note_registry_change();
create trigger history after insert or update on fuses for each row execute function note_registry_change();
create trigger history after insert or update on contracts
    for each row execute function note_registry_change();
