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
