-- Applied before `timescale` to a database whose readings are partitioned: one that ran without the extension so
-- far. A hypertable is made of one table, so the months are put together; that copies all readings once.

do $$
declare
    hourly text := pg_get_viewdef('readings_hourly'::regclass);
    daily  text := pg_get_viewdef('readings_daily'::regclass);
begin
    drop view readings_hourly, readings_daily;
    create table readings_whole (like readings including defaults);
    insert into readings_whole select * from readings;
    drop table readings;
    alter table readings_whole rename to readings;
    alter table readings add primary key (register_id, measured_at);
    execute 'create view readings_hourly as ' || hourly;
    execute 'create view readings_daily as ' || daily;
    drop function make_months;
end $$;

delete from schema_migrations where part = 'plain';
