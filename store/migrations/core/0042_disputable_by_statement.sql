-- The telegrams behind billing readings, noted for all that a close issues at once: a row at a time takes hours for
-- a million, since each looks through all meters.

create or replace function note_disputable_telegrams() returns trigger
    language plpgsql security definer set search_path = public, pg_temp as $$
begin
    insert into disputable_telegrams (utility_id, meter_id, measured_at, issued_at)
    select behind.utility_id, m.id, behind.at, max(behind.created_at)
    from (
        select i.utility_id, i.created_at, part ->> 'meter' as meter, (reading ->> 'at')::timestamptz as at
        from issued i
        cross join jsonb_array_elements(i.evidence -> 'installations') part
        cross join jsonb_array_elements(
            coalesce(part #> '{start,readings}', '[]') || coalesce(part #> '{end,readings}', '[]')
            || coalesce(part #> '{carried,found_now,readings}', '[]')) reading
    ) behind
    join meters m on m.utility_id = behind.utility_id and m.code = behind.meter
    where exists (select from telegrams t where t.meter_id = m.id and t.measured_at = behind.at)
    group by 1, 2, 3 order by 2, 3
    on conflict (meter_id, measured_at) do update set issued_at = excluded.issued_at;
    return null;
end $$;

drop trigger disputable on billing_readings;
create trigger disputable after insert on billing_readings
    referencing new table as issued
    for each statement execute function note_disputable_telegrams();
