-- A million billing readings are issued by one statement: what it did again for every row is said once.

-- A close that billing readings name cannot go, and each of them is made by the transaction that made its close,
-- for a service point of its utility: looking both up a million times proves nothing more. (The service point
-- itself is still looked up.) Issued is issued, for the owner of the tables, too.
create trigger never_removed before delete on closes for each row execute function refuse_change();
create trigger never_removed before delete on billing_readings for each row execute function refuse_change();
alter table billing_readings drop constraint billing_readings_close_id_fkey;
alter table billing_readings drop constraint billing_readings_utility_id_fkey;

-- The telegrams behind billing readings were noted by a trigger, for which a copy of all new rows was written to
-- disk. What issues them (store/billing/drafts.py) calls this instead, in the same transaction.
drop trigger disputable on billing_readings;
drop function note_disputable_telegrams;
create function note_disputable_telegrams(close_id bigint) returns void
    language sql security definer set search_path = public, pg_temp as $$
    insert into disputable_telegrams (utility_id, meter_id, measured_at, issued_at)
    select behind.utility_id, m.id, behind.at, max(behind.created_at)
    from (
        select i.utility_id, i.created_at, part ->> 'meter' as meter, (reading ->> 'at')::timestamptz as at
        from closes c
        join billing_readings i on i.utility_id = c.utility_id and i.period = c.period and i.close_id = c.id
        cross join jsonb_array_elements(i.evidence -> 'installations') part
        cross join jsonb_array_elements(
            coalesce(part #> '{start,readings}', '[]') || coalesce(part #> '{end,readings}', '[]')
            || coalesce(part #> '{carried,found_now,readings}', '[]')) reading
        where c.id = note_disputable_telegrams.close_id
    ) behind
    join meters m on m.utility_id = behind.utility_id and m.code = behind.meter
    where exists (select from telegrams t where t.meter_id = m.id and t.measured_at = behind.at)
    group by 1, 2, 3 order by 2, 3
    on conflict (meter_id, measured_at) do update set issued_at = excluded.issued_at
$$;
