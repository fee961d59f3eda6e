-- The rest of what a utility knows of its meters, and the history of all of it.

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

alter table meters
    add column manufacturer text generated always as (split_part(code, '-', 1)) stored,
    add column serial       text generated always as (substr(code, 5)) stored,
    add column line_id      int references lines,
    add column qmax         bigint check (qmax > 0);          -- highest permitted flow, micro-m3/h; null: not known

create index meters_by_site on meters (site_id);              -- a building's meters, of a hundred thousand

-- meters.verified_until is the latest of these; none: never told.
create table verifications (
    utility_id  int not null references utilities,
    meter_id    int not null references meters,
    verified_on date not null,
    valid_until date not null check (valid_until > verified_on),
    certificate text not null default '',
    primary key (meter_id, verified_on)
);

-- A ratio of transformers takes effect with an installation: another ratio at the same meter is another
-- installation, with the readings at that instant. So consumption is a sum over installations, and no more.

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
    after      jsonb not null
);
create index registry_history_of_entry on registry_history (utility_id, entity, entry, id);

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

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is only added to', tg_table_name using errcode = 'insufficient_privilege';
end $$;
create trigger append_only before update or delete on registry_history
    for each row execute function refuse_change();
