-- Who looks at a page is told when something of it changed: a notice on the channel hesper_changes for each
-- statement, "<utility id> <topic>", when its transaction commits. It carries no contents. Notices of readings
-- come from the ingester, one a commit (store/postgres/notices.py).

create function announce_change() returns trigger
    language plpgsql set search_path = public, pg_temp as $$
declare
    whose int;
begin
    for whose in select distinct utility_id from changed where utility_id is not null loop
        perform pg_notify('hesper_changes', whose || ' ' || tg_argv[0]);
    end loop;
    return null;
end $$;

do $$
declare
    watched record;
begin
    for watched in
        select * from (values
            ('findings', 'findings'), ('edits', 'edits'), ('edit_approvals', 'edits'),
            ('quarantine', 'quarantine'), ('gateways', 'gateways'), ('closes', 'months'),
            ('close_drafts', 'months'), ('close_events', 'months'), ('outbox', 'deliveries'),
            ('billing_acknowledgements', 'deliveries'), ('delivery_acknowledgements', 'deliveries')
        ) as t (name, topic)
    loop
        execute format('create trigger announced_new after insert on %I referencing new table as changed '
                       'for each statement execute function announce_change(%L)', watched.name, watched.topic);
        execute format('create trigger announced after update on %I referencing new table as changed '
                       'for each statement execute function announce_change(%L)', watched.name, watched.topic);
    end loop;
end $$;
