-- What people did with findings. Only added to: a finding's state and assignee are what its last change says, and
-- nothing else sets them, so that there is no state without somebody who gave it.

alter table findings add column assignee text not null default '';  -- a login; empty: nobody

create table finding_changes (
    id         bigint generated always as identity primary key,
    utility_id int not null references utilities,
    finding_id bigint not null references findings,           -- no cascade: what people dealt with is never removed
    state      text check (state in ('open', 'acknowledged', 'resolved', 'false alarm')),  -- null: as it was
    assignee   text,                                          -- null: as it was; empty: nobody
    note       text not null default '',
    author     text not null check (author <> ''),
    created_at timestamptz not null default now(),
    check (state is not null or assignee is not null or note <> '')
);
create index finding_changes_of_finding on finding_changes (finding_id, id);
create trigger append_only before update or delete on finding_changes
    for each row execute function refuse_change();
create constraint trigger audited after insert on finding_changes
    deferrable initially deferred for each row execute function audit_change();

create function take_finding_change() returns trigger
    language plpgsql security definer set search_path = public, pg_temp as $$
begin
    update findings set state = coalesce(new.state, state), assignee = coalesce(new.assignee, assignee)
    where id = new.finding_id and utility_id = new.utility_id;
    if not found then
        raise exception 'a finding is changed by its own utility' using errcode = 'check_violation';
    end if;
    return null;
end $$;
create trigger takes_effect after insert on finding_changes
    for each row execute function take_finding_change();
