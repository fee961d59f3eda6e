-- The views of core/0005 as continuous aggregates: same names, same columns, kept up to date as readings come.
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
