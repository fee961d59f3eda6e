-- Every row of a utility is seen and written by sessions of that utility alone: the rule is in the database.
-- hesper_api says whose session it is (store.roles.enter_utility); without that it sees nothing. The others
-- work for all utilities, by a policy of their own. The owner of the tables obeys too: it is in hesper_admin.

create or replace function current_utility() returns int
    language sql stable parallel safe
    return nullif(current_setting('hesper.utility', true), '')::int;

-- `condition` is over a row of the table. A table with a column utility_id needs no line of its own.
do $$
declare
    place record;
begin
    for place in
        select 'utilities'::regclass as name, 'id = current_utility()' as condition
        union all
        select 'installations'::regclass,
               'exists (select from service_points p where p.id = service_point_id
                        and p.utility_id = current_utility())'
        union all
        select 'marks'::regclass,
               'exists (select from registers r where r.id = register_id
                        and r.utility_id = current_utility())'
        union all
        select 'telegrams'::regclass,
               'exists (select from meters m where m.id = meter_id and m.utility_id = current_utility())'
        union all
        select c.oid::regclass, 'utility_id = current_utility()'
        from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'utility_id'
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
    loop
        execute format('alter table %s enable row level security, force row level security', place.name);
        execute format('drop policy if exists own_utility on %s', place.name);
        execute format('drop policy if exists all_utilities on %s', place.name);
        execute format('create policy own_utility on %s to hesper_api using (%s) with check (%s)',
                       place.name, place.condition, place.condition);
        execute format('create policy all_utilities on %s to hesper_ingest, hesper_deliver, hesper_admin using (true) with check (true)',
                       place.name);
    end loop;
end $$;

-- A person's own account, roles and sessions, of whatever utility: store.users.enter_person says who it is. Another
-- person's account is seen by no session of the API, so that an administrator of one utility has no way into
-- another one by a person who works for both.
create or replace function current_person() returns int
    language sql stable parallel safe
    return nullif(current_setting('hesper.person', true), '')::int;

do $$
declare
    place record;
begin
    for place in select * from (values
        ('users', 'all', 'id = current_person()'),
        ('user_roles', 'select', 'user_id = current_person()'),
        ('sessions', 'all', 'user_id = current_person()')) as t (name, command, condition)
    loop
        execute format('alter table %I enable row level security, force row level security', place.name);
        execute format('drop policy if exists own_person on %I', place.name);
        execute format('create policy own_person on %I for %s to hesper_api using (%s)',
                       place.name, place.command, place.condition);
    end loop;
    drop policy if exists all_utilities on users;
    create policy all_utilities on users to hesper_admin using (true) with check (true);
    -- what belongs to no utility is noted by the API, and read by hesper_admin alone
    drop policy if exists of_no_utility on audit_log;
    create policy of_no_utility on audit_log for insert to hesper_api with check (utility_id is null);
end $$;
