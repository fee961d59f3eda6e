-- What a service point's main fuse lets through, what a meter is made for, and who pays from when to when.

create index sites_by_parent on sites (parent_id);            -- whether a site is a house with parts
create index service_points_by_site on service_points (site_id);

alter table meters
    add column imax   bigint check (imax > 0),                -- largest current, micro-A; null: not known
    add column phases smallint check (phases in (1, 3));      -- that it measures; null: not known

-- The rating of the main circuit breaker, from a local day on. None before the first: not known.
create table fuses (
    utility_id       int not null references utilities,
    service_point_id int not null references service_points,
    since            date not null,
    amperes          bigint not null check (amperes > 0),     -- micro-A, of each phase
    phases           smallint not null check (phases in (1, 3)),
    primary key (service_point_id, since)
);

-- A service point without any row is not judged by its contracts.
create table contracts (
    utility_id       int not null references utilities,
    service_point_id int not null references service_points,
    valid_from       timestamptz not null,
    valid_to         timestamptz check (valid_to > valid_from), -- null: it goes on
    account          text not null default '',                -- the billing system's reference; may be empty
    primary key (service_point_id, valid_from)
);

-- As core/0010, with the two new tables.
create or replace function note_registry_change() returns trigger
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

create trigger history after insert or update on fuses for each row execute function note_registry_change();
create trigger history after insert or update on contracts
    for each row execute function note_registry_change();
