-- How long each kind of data is kept, and what is removed when. `hesper store retention` changes the settings;
-- `expire` obeys them, so that who calls it (any validator, once a day) needs no right to remove anything.

create table retention (
    kind text primary key,
    keep interval check (keep >= interval '7 days'),          -- null: for ever
    what text not null,
    -- a bill needs months, and what is aggregated must not be read again after its readings are gone
    constraint months_of_readings
        check (kind not in ('readings', 'aggregates') or keep >= interval '90 days')
);
insert into retention (kind, keep, what) values
    ('readings', null, 'raw readings and the marks on them'),
    ('telegrams', '60 days', 'telegrams that no billing reading rests on'),
    ('disputable telegrams', '3 years', 'telegrams behind a billing reading, from the day it was issued'),
    ('quarantine', '1 year', 'what was replayed or discarded; what waits is kept'),
    ('misses', '90 days', 'polls that gave no readout'),
    ('gateway reports', '60 days', 'what gateways told of their health and connection'),
    ('aggregates', null, 'hours and days, where they are stored apart from the readings');

-- Removes what is too old of a kind, at most so many rows at once; how many rows, or parts of tables. Has no
-- argument for the present: nobody can make things older than they are. Does not keep others waiting (as
-- make_months of the part `plain`). Two kinds depend on how readings are stored: `plain` and `timescale` make
-- expire_readings, `timescale/community` also expire_aggregates.
create function expire(wanted text, at_most int) returns bigint
    language plpgsql security definer
    set search_path = public, pg_temp set timezone = 'UTC' set lock_timeout = '1s' as $$
declare
    age      interval := (select keep from retention where kind = wanted);
    cutoff   timestamptz := now() - age;
    disputed timestamptz := now() - (select keep from retention where kind = 'disputable telegrams');
    removed  bigint := 0;
    states   bigint := 0;
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
            delete from missed_polls where ctid = any(array(
                select ctid from missed_polls where due_at < cutoff limit at_most));
            get diagnostics removed = row_count;
        when 'gateway reports' then
            delete from gateway_health where ctid = any(array(
                select ctid from gateway_health where at < cutoff limit at_most));
            get diagnostics removed = row_count;
            delete from gateway_states where id = any(array(           -- the last one holds, however old it is
                select s.id from gateway_states s where s.noticed_at < cutoff and exists (
                    select from gateway_states later where later.gateway_id = s.gateway_id and later.id > s.id)
                limit at_most));
            get diagnostics states = row_count;
            removed := removed + states;
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

-- Hours and days are views, unless `timescale/community` stores them.
create function expire_aggregates(cutoff timestamptz) returns bigint language sql as $$ select 0::bigint $$;
