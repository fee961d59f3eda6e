-- What people decide about single readings. Only added to: an undo is a row that names what it undoes.

create table edits (
    id             bigint generated always as identity primary key,
    utility_id     int not null references utilities,
    register_id    int not null references registers,
    measured_at    timestamptz not null,
    action         text not null check (action in ('exclude', 'enter', 'accept', 'restore')),
    value          bigint check ((value is not null) = (action = 'enter')),  -- micro-units
    undoes         bigint references edits check ((undoes is not null) = (action = 'restore')),
    needs_approval boolean not null,                          -- it lies in a period that was closed
    author         text not null check (author <> ''),
    reason         text not null check (reason <> ''),
    created_at     timestamptz not null default now()
);
create index edits_of_reading on edits (register_id, measured_at);
create index edits_by_utility on edits (utility_id, id);
create unique index one_undo_of_an_edit on edits (undoes);
create trigger append_only before update or delete on edits for each row execute function refuse_change();

-- The second person, for edits of closed periods.
create table edit_approvals (
    edit_id    bigint primary key references edits,
    utility_id int not null references utilities,
    author     text not null check (author <> ''),
    created_at timestamptz not null default now()
);
create trigger append_only before update or delete on edit_approvals
    for each row execute function refuse_change();

create function refuse_own_approval() returns trigger language plpgsql as $$
begin
    if exists (select from edits e where e.id = new.edit_id
               and (e.author = new.author or e.utility_id <> new.utility_id)) then
        raise exception 'an edit is approved by a second person' using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger second_person before insert on edit_approvals
    for each row execute function refuse_own_approval();

-- What holds of each reading that somebody edited: the last edit in force that is not undone. A reading whose
-- entry was undone has no action that holds, and is no reading any more.
create view edited_readings with (security_invoker) as
with in_force as (
    select e.* from edits e
    where not e.needs_approval or exists (select from edit_approvals a where a.edit_id = e.id)
), standing as (
    select e.* from in_force e
    where e.action <> 'restore' and not exists (select from in_force u where u.undoes = e.id)
)
select r.register_id, r.measured_at, s.id as edit_id, s.action, s.author, s.reason, r.entered
from (
    select register_id, measured_at, bool_or(action = 'enter') as entered
    from in_force group by register_id, measured_at
) r left join lateral (
    select * from standing s where s.register_id = r.register_id and s.measured_at = r.measured_at
    order by s.id desc limit 1
) s on true;

-- An edit takes effect by the database, whoever's right it was written by: who may add edits of a utility needs none
-- to add readings or to change marks.

-- Whether an edit waits for a second person follows from the months that are closed: nobody may say less.
create function complete_edit() returns trigger
    language plpgsql security definer set search_path = public, pg_temp as $$
begin
    new.needs_approval := new.needs_approval or exists (
        select from closes c where c.utility_id = new.utility_id
        and c.starts_at <= new.measured_at and c.ends_at >= new.measured_at);
    return new;
end $$;
create trigger complete before insert on edits for each row execute function complete_edit();

-- At an edit it is checked and, unless it waits, holds from then on; at an approval it is checked again and holds.
-- What holds is a mark of rule `edit` in the author's name, and an entry a reading.
create function take_edit() returns trigger
    language plpgsql security definer set search_path = public, pg_temp set timezone = 'UTC' as $$
declare
    edit   edits;
    stored boolean;
begin
    if tg_table_name = 'edits' then
        edit := new;
    else
        select * into strict edit from edits where id = new.edit_id;
    end if;
    perform from registers where id = edit.register_id and utility_id = edit.utility_id;
    if not found then
        raise exception 'register % is not of utility %', edit.register_id, edit.utility_id
            using errcode = 'insufficient_privilege';
    end if;
    stored := exists (select from readings
                      where register_id = edit.register_id and measured_at = edit.measured_at);
    if edit.action = 'enter' and stored then
        raise exception 'there is a reading of % already', instant_text(edit.measured_at)
            using errcode = 'check_violation',
                  hint = 'readings are never altered: exclude it, and enter the value for another instant';
    elsif edit.action in ('exclude', 'accept') and not stored then
        raise exception 'no reading of %', instant_text(edit.measured_at)
            using errcode = 'check_violation', hint = 'give the instant exactly, in UTC';
    end if;
    if tg_table_name = 'edits' and edit.needs_approval then
        return null;
    end if;
    if edit.action = 'enter' then
        insert into readings (register_id, measured_at, value, status)
        values (edit.register_id, edit.measured_at, edit.value, manual_status());
    end if;
    delete from marks
    where register_id = edit.register_id and measured_at = edit.measured_at and rule = 'edit';
    insert into marks (register_id, measured_at, rule, quality, usable, evidence, author)
    select h.register_id, h.measured_at, 'edit',
           quality(case when h.entered then 'edited' when h.action = 'accept' then 'validated'
                        else 'questionable' end),
           coalesce(h.action <> 'exclude', false),
           jsonb_build_object('action', coalesce(h.action, 'withdrawn'),
                              'edit', coalesce(h.edit_id, edit.id),
                              'reason', coalesce(h.reason, edit.reason)),
           coalesce(h.author, edit.author)
    from edited_readings h
    where h.register_id = edit.register_id and h.measured_at = edit.measured_at
      and (h.action is not null or h.entered);
    insert into arrival_queue (block, day)
    values (block_of(edit.register_id), edit.measured_at::date);
    insert into validation_queue (block, day, marked_at)
    values (block_of(edit.register_id), edit.measured_at::date, clock_timestamp())
    on conflict (block, day) do update set marked_at = excluded.marked_at;
    return null;
end $$;
create trigger takes_effect after insert on edits for each row execute function take_edit();
create trigger takes_effect after insert on edit_approvals for each row execute function take_edit();
