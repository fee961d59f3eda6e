-- Readings that are too old go with their chunks.

create or replace function expire_readings(cutoff timestamptz, at_most int) returns bigint language plpgsql as $$
begin
    return (select count(*) from drop_chunks('readings', older_than => cutoff));
end $$;
