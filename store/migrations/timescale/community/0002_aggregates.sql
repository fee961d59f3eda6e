-- The views of core/0002 as continuous aggregates: same names, same columns, kept up to date as readings come.
-- They answer for the newest readings too (materialized_only = false). Refreshing has no lower bound, since
-- history may arrive at any time; only what changed is computed again.

drop view readings_hourly;
drop view readings_daily;

create materialized view readings_hourly
with (timescaledb.continuous, timescaledb.materialized_only = false) as
select register_id,
       time_bucket(interval '1 hour', measured_at) as bucket,
       first(value, measured_at)                   as first_value,
       last(value, measured_at)                    as last_value,
       min(value)                                  as min_value,
       max(value)                                  as max_value,
       min(measured_at)                            as first_at,
       max(measured_at)                            as last_at,
       count(*)                                    as readings
from readings
group by register_id, time_bucket(interval '1 hour', measured_at)
with no data;

create materialized view readings_daily
with (timescaledb.continuous, timescaledb.materialized_only = false) as
select register_id,
       time_bucket(interval '1 day', measured_at)  as bucket,
       first(value, measured_at)                   as first_value,
       last(value, measured_at)                    as last_value,
       min(value)                                  as min_value,
       max(value)                                  as max_value,
       min(measured_at)                            as first_at,
       max(measured_at)                            as last_at,
       count(*)                                    as readings
from readings
group by register_id, time_bucket(interval '1 day', measured_at)
with no data;

select add_continuous_aggregate_policy('readings_hourly',
    start_offset => null, end_offset => interval '2 hours', schedule_interval => interval '30 minutes');
select add_continuous_aggregate_policy('readings_daily',
    start_offset => null, end_offset => interval '2 days', schedule_interval => interval '2 hours');

-- What was aggregated outlives its readings: refreshing must not reach back to where they are gone, or it would
-- find nothing there and say so. So the policies' beginning follows the retention of readings.

create or replace function expire_readings(cutoff timestamptz, at_most int) returns bigint language plpgsql as $$
declare
    reach interval := now() - cutoff - interval '8 days';  -- a chunk more than is dropped
    job   record;
begin
    for job in
        select job_id, config from timescaledb_information.jobs
        where proc_name = 'policy_refresh_continuous_aggregate'
          and (config ->> 'start_offset')::interval is distinct from reach
    loop
        perform alter_job(job.job_id,
                          config => jsonb_set(job.config, '{start_offset}', to_jsonb(reach::text)));
    end loop;
    return (select count(*) from drop_chunks('readings', older_than => cutoff));
end $$;

create or replace function expire_aggregates(cutoff timestamptz) returns bigint language plpgsql as $$
begin
    return (select count(*) from drop_chunks('readings_hourly', older_than => cutoff))
         + (select count(*) from drop_chunks('readings_daily', older_than => cutoff));
end $$;
