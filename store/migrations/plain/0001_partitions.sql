-- Where there is no TimescaleDB: readings by month (UTC), so that the newest and their index stay small, and what
-- is too old goes with its month. All of time is covered:
--     readings_before    what lies before the first month that is kept
--     readings_2026_11   a month; made three months ahead
--     readings_after     what lies beyond, such as the reading of a meter whose clock is ahead
-- No default partition: with one, "the latest reading of a register" would have to look into every month, since
-- a default may hold anything. These are in order, and the newest is looked at first.

create function partition_bound(partition regclass, side text) returns timestamptz
    language sql stable set timezone = 'UTC' as $$
    select substring(pg_get_expr(relpartbound, oid) from side || $re$ \('([^']+)'\)$re$)::timestamptz
    from pg_class where oid = partition
$$;

-- Makes the months that are missing up to so many from now; how many were made. Waits for who is at readings, and
-- all who come wait behind it: for a second at the most. Then it gives up (lock_not_available), until tomorrow.
create function make_months(ahead int) returns int
    language plpgsql security definer
    set search_path = public, pg_temp set timezone = 'UTC' set lock_timeout = '1s' as $$
declare
    wanted timestamptz := date_trunc('month', now()) + make_interval(months => least(ahead, 24) + 1);
    month  timestamptz := partition_bound('readings_after', 'FROM');
    made   int := 0;
begin
    if month >= wanted or not pg_try_advisory_xact_lock(hashtext('hesper.make_months')) then
        return 0;
    end if;
    alter table readings detach partition readings_after;
    while month < wanted loop
        execute format('create table %I partition of readings for values from (%L) to (%L)',
                       'readings_' || to_char(month, 'YYYY_MM'), month, month + interval '1 month');
        month := month + interval '1 month';
        made := made + 1;
    end loop;
    with early as (delete from readings_after where measured_at < wanted returning *)
    insert into readings select * from early;
    execute format('alter table readings attach partition readings_after for values from (%L) to (maxvalue)',
                   wanted);
    return made;
end $$;

-- Whole months go with their tables. What lies before the first month that is kept is then too old too.
create function expire_readings(cutoff timestamptz, at_most int) returns bigint
    language plpgsql set timezone = 'UTC' as $$
declare
    first   timestamptz := date_trunc('month', cutoff);
    upper   timestamptz := partition_bound('readings_before', 'TO');
    month   regclass;
    removed bigint := 0;
begin
    if upper > first then
        delete from readings_before where ctid = any(array(
            select ctid from readings_before where measured_at < cutoff limit at_most));
        get diagnostics removed = row_count;
        return removed;
    end if;
    if upper = first and not exists (select from readings_before) then
        return 0;
    end if;
    for month in
        select inhrelid::regclass from pg_inherits
        where inhparent = 'readings'::regclass and partition_bound(inhrelid::regclass, 'TO') <= first
          and inhrelid <> 'readings_before'::regclass
    loop
        execute format('alter table readings detach partition %s', month);
        execute format('drop table %s', month);
        removed := removed + 1;
    end loop;
    alter table readings detach partition readings_before;
    truncate readings_before;
    execute format('alter table readings attach partition readings_before for values from (minvalue) to (%L)',
                   first);
    return removed + 1;
end $$;

-- The table and the views of core/0002 once more, by month.
do $$
declare
    hourly text := pg_get_viewdef('readings_hourly'::regclass);
    daily  text := pg_get_viewdef('readings_daily'::regclass);
    first  timestamptz := date_trunc('month', now(), 'UTC');
begin
    drop view readings_hourly, readings_daily;
    alter table readings rename to readings_before;
    alter index readings_pkey rename to readings_before_pkey;
    create table readings (like readings_before including defaults, primary key (register_id, measured_at))
        partition by range (measured_at);
    execute format('alter table readings attach partition readings_before for values from (minvalue) to (%L)',
                   first);
    execute format('create table readings_after partition of readings for values from (%L) to (maxvalue)', first);
    execute 'create view readings_hourly as ' || hourly;
    execute 'create view readings_daily as ' || daily;
end $$;

select make_months(3);
