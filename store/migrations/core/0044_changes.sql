-- A close again drafts the service points that something happened to since the close before. What happened is told
-- by the transaction that did it: whatever is not older than all that `seen` (the oldest transaction at work when
-- the draft was begun) may have been invisible to that draft.

create table touched_days (
    block      int not null,                                  -- register_id / 32
    day        date not null,                                 -- UTC
    touched_by xid8 not null,                                 -- the last transaction that brought readings of it
    primary key (block, day)
) with (fillfactor = 80);

-- Whoever brings readings or edits some notes the block and day for the validator.
create function note_touched_days() returns trigger
    language plpgsql security definer set search_path = public, pg_temp as $$
begin
    insert into touched_days as known (block, day, touched_by)
    select block, day, pg_current_xact_id() from noted order by 1, 2
    on conflict (block, day) do update set touched_by = excluded.touched_by
    where known.touched_by < excluded.touched_by;
    return null;
end $$;
create trigger touched_by_insert after insert on validation_queue
    referencing new table as noted for each statement execute function note_touched_days();
create trigger touched_by_update after update on validation_queue
    referencing new table as noted for each statement execute function note_touched_days();

alter table registry_history add column noted_by xid8 not null default pg_current_xact_id();
create index registry_history_by_transaction on registry_history (utility_id, noted_by);

-- Numbers of transactions mean something within one cluster alone: not in a copy that was restored from a dump.
alter table close_drafts
    add column seen    xid8 not null default pg_snapshot_xmin(pg_current_snapshot()),
    add column cluster bigint not null default (pg_control_system()).system_identifier,
    add column whole   boolean not null default true;         -- all points are drafted, not the touched alone
alter table closes
    add column seen      xid8,                                -- as of its draft; null: an older release closed it
    add column cluster   bigint,
    add column rules     bigint,                              -- billing_rules.id
    add column issued_by xid8 not null default pg_current_xact_id();

-- The service points of a draft that is not of all. Lost with its blocks (core/0040).
create unlogged table draft_points (
    utility_id       int not null,
    draft_id         bigint not null,
    service_point_id int not null,
    primary key (draft_id, service_point_id)
);
