-- Readings as a utility's sessions see them. TimescaleDB refuses row security on a table with columnstore, so
-- `readings` itself is granted to no reader. The barrier keeps conditions that could tell something of a row
-- away from rows of others; it also keeps an outer `order by ... limit` away from the index, hence the view of
-- latest readings, which looks at one row a register.

create view utility_readings with (security_barrier) as
select x.register_id, x.measured_at, x.value, x.status, x.received_at
from registers r join readings x on x.register_id = r.id
where r.utility_id = current_utility();

create view utility_latest_readings with (security_barrier) as
select r.id as register_id, last.measured_at, last.value, last.status
from registers r
cross join lateral (
    select measured_at, value, status from readings where register_id = r.id order by measured_at desc limit 1
) last
where r.utility_id = current_utility();

create view utility_readings_hourly with (security_barrier) as
select x.* from registers r join readings_hourly x on x.register_id = r.id
where r.utility_id = current_utility();

create view utility_readings_daily with (security_barrier) as
select x.* from registers r join readings_daily x on x.register_id = r.id
where r.utility_id = current_utility();
