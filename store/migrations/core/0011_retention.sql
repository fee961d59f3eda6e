-- How long each kind of data is kept, and what is removed when. `hesper store retention` changes the settings;
-- `expire` obeys them, so that who calls it (any validator, once a day) needs no right to remove anything.

create table retention (
    kind text primary key,
    keep interval check (keep >= interval '7 days'),          -- null: for ever
    what text not null
);
insert into retention (kind, keep, what) values
    ('readings', null, 'raw readings and the marks on them'),
    ('telegrams', '60 days', 'telegrams that no billing reading rests on'),
    ('disputable telegrams', '3 years', 'telegrams behind a billing reading, from the day it was issued'),
    ('quarantine', '1 year', 'what was replayed or discarded; what waits is kept'),
    ('misses', '90 days', 'polls that gave no readout'),
    ('aggregates', null, 'hours and days, where they are stored apart from the readings');
-- a bill needs months, and what is aggregated must not be read again after its readings are gone
alter table retention add constraint months_of_readings
    check (kind not in ('readings', 'aggregates') or keep >= interval '90 days');

-- Telegrams are looked for by age once a day; a range index costs their writer next to nothing.
create index telegrams_by_instant on telegrams using brin (measured_at);

-- The telegrams behind billing readings, by the evidence of those. Filled as they are issued.
create table disputable_telegrams (
    utility_id  int not null references utilities,
    meter_id    int not null references meters,
    measured_at timestamptz not null,
    issued_at   timestamptz not null,                         -- of the last billing reading that rests on it
    primary key (meter_id, measured_at)
);

create function note_disputable_telegrams() returns trigger
    language plpgsql security definer set search_path = public, pg_temp as $$
begin
    insert into disputable_telegrams (utility_id, meter_id, measured_at, issued_at)
    select distinct new.utility_id, m.id, (reading ->> 'at')::timestamptz, new.created_at
    from jsonb_path_query(new.evidence, '$.installations[*]') part
    join meters m on m.utility_id = new.utility_id and m.code = part ->> 'meter'
    cross join jsonb_path_query(part, 'strict $.**.readings[*]') reading
    on conflict (meter_id, measured_at) do update set issued_at = excluded.issued_at;
    return null;
end $$;
create trigger disputable after insert on billing_readings
    for each row execute function note_disputable_telegrams();

insert into disputable_telegrams (utility_id, meter_id, measured_at, issued_at)
select b.utility_id, m.id, (reading ->> 'at')::timestamptz, max(b.created_at)
from billing_readings b
cross join jsonb_path_query(b.evidence, '$.installations[*]') part
join meters m on m.utility_id = b.utility_id and m.code = part ->> 'meter'
cross join jsonb_path_query(part, 'strict $.**.readings[*]') reading
group by 1, 2, 3;

-- Removes what is too old of a kind, at most so many rows at once; how many rows, or parts of tables. Has no
-- argument for the present: nobody can make things older than they are. Does not keep others waiting (as
-- make_months of the part `plain`).
create function expire(wanted text, at_most int) returns bigint
    language plpgsql security definer
    set search_path = public, pg_temp set timezone = 'UTC' set lock_timeout = '1s' as $$
declare
    age      interval := (select keep from retention where kind = wanted);
    cutoff   timestamptz := now() - age;
    disputed timestamptz := now() - (select keep from retention where kind = 'disputable telegrams');
    removed  bigint := 0;
begin
    if age is null then
        return 0;
    end if;
    case wanted
        when 'telegrams' then
            delete from telegrams where ctid = any(array(
                select t.ctid from telegrams t
                where t.measured_at < cutoff and not exists (
                    select from disputable_telegrams d
                    where d.meter_id = t.meter_id and d.measured_at = t.measured_at
                      and (disputed is null or d.issued_at >= disputed))
                limit at_most));
            get diagnostics removed = row_count;
        when 'quarantine' then
            delete from quarantine where id = any(array(
                select id from quarantine where state <> 'waiting' and resolved_at < cutoff limit at_most));
            get diagnostics removed = row_count;
        when 'misses' then
            if to_regclass('missed_polls') is not null then
                delete from missed_polls where ctid = any(array(
                    select ctid from missed_polls where due_at < cutoff limit at_most));
                get diagnostics removed = row_count;
            end if;
        when 'readings' then
            removed := expire_readings(cutoff, at_most);
            delete from marks where ctid = any(array(
                select m.ctid from marks m
                where m.measured_at < cutoff and not exists (
                    select from readings r where r.register_id = m.register_id and r.measured_at = m.measured_at)
                limit at_most));
        when 'aggregates' then
            removed := expire_aggregates(cutoff);
        else
            null;  -- says how long what another kind would remove is kept
    end case;
    return removed;
end $$;

-- What these two remove depends on how readings are stored; `plain` and `timescale` say it.
create function expire_readings(cutoff timestamptz, at_most int) returns bigint language plpgsql as $$
declare
    removed bigint;
begin
    delete from readings where ctid = any(array(
        select ctid from readings where measured_at < cutoff limit at_most));
    get diagnostics removed = row_count;
    return removed;
end $$;
create function expire_aggregates(cutoff timestamptz) returns bigint language sql as $$ select 0::bigint $$;
