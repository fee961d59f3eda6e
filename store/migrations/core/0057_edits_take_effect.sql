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
-- What holds is a mark of rule `edit` in the author's name, and an entry a reading (telemetry.Status.MANUAL).
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
        values (edit.register_id, edit.measured_at, edit.value, 256);
    end if;
    delete from marks
    where register_id = edit.register_id and measured_at = edit.measured_at and rule = 'edit';
    insert into marks (register_id, measured_at, rule, quality, usable, evidence, author)
    select h.register_id, h.measured_at, 'edit',
           case when h.entered then 7                         -- telemetry.Quality: edited
                when h.action = 'accept' then 17              -- validated
                else 10 end,                                  -- questionable
           coalesce(h.action <> 'exclude', false),
           jsonb_build_object('action', coalesce(h.action, 'withdrawn'),
                              'edit', coalesce(h.edit_id, edit.id),
                              'reason', coalesce(h.reason, edit.reason)),
           coalesce(h.author, edit.author)
    from edited_readings h
    where h.register_id = edit.register_id and h.measured_at = edit.measured_at
      and (h.action is not null or h.entered);
    insert into arrival_queue (block, day)
    values (edit.register_id / 32, edit.measured_at::date);
    insert into validation_queue (block, day, marked_at)
    values (edit.register_id / 32, edit.measured_at::date, clock_timestamp())
    on conflict (block, day) do update set marked_at = excluded.marked_at;
    return null;
end $$;
create trigger takes_effect after insert on edits for each row execute function take_edit();
create trigger takes_effect after insert on edit_approvals for each row execute function take_edit();

create constraint trigger audited after insert on edits
    deferrable initially deferred for each row execute function audit_change();
create constraint trigger audited after insert on edit_approvals
    deferrable initially deferred for each row execute function audit_change();
