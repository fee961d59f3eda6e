-- Readings by hour and by day, for charts and plausibility; no billed figure rests on them.
-- Buckets begin at full hours and at midnight UTC. Where TimescaleDB offers them, continuous aggregates of the
-- same names and columns take the place of these views.

create view readings_hourly as
select register_id,
       date_trunc('hour', measured_at, 'UTC')             as bucket,
       (array_agg(value order by measured_at))[1]         as first_value,
       (array_agg(value order by measured_at desc))[1]    as last_value,
       min(value)                                         as min_value,
       max(value)                                         as max_value,
       min(measured_at)                                   as first_at,
       max(measured_at)                                   as last_at,
       count(*)                                           as readings
from readings
group by register_id, date_trunc('hour', measured_at, 'UTC');

create view readings_daily as
select register_id,
       date_trunc('day', measured_at, 'UTC')              as bucket,
       (array_agg(value order by measured_at))[1]         as first_value,
       (array_agg(value order by measured_at desc))[1]    as last_value,
       min(value)                                         as min_value,
       max(value)                                         as max_value,
       min(measured_at)                                   as first_at,
       max(measured_at)                                   as last_at,
       count(*)                                           as readings
from readings
group by register_id, date_trunc('day', measured_at, 'UTC');
