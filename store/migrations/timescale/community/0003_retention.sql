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
