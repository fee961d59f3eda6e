-- Readings in chunks of time. Any edition of TimescaleDB has this.

create extension if not exists timescaledb;

do $$
declare
    installed text := (select extversion from pg_extension where extname = 'timescaledb');
begin
    if string_to_array(split_part(installed, '-', 1), '.')::int[] < array[2, 20] then
        raise exception 'Hesper needs TimescaleDB 2.20 or newer; this database has %', installed
            using hint = 'alter extension timescaledb update, as the first statement of a new session';
    end if;
end $$;

-- Seven days: 10,000 registers at 15 minutes make 6.7 million rows or about 0.8 GB with the key, so the chunks
-- that are written to (this week's, and last week's for late readings) stay in memory on a small server, while
-- ten years are only 520 chunks. A utility of 100,000 registers sets one day:
--     select set_chunk_time_interval('readings', interval '1 day');
-- No index by time alone: every query names its registers, and the primary key begins with them.
select create_hypertable(
    'readings', by_range('measured_at', interval '7 days'), create_default_indexes => false, migrate_data => true
);

-- Readings that are too old go with their chunks.

create or replace function expire_readings(cutoff timestamptz, at_most int) returns bigint language plpgsql as $$
begin
    return (select count(*) from drop_chunks('readings', older_than => cutoff));
end $$;
