-- The month: closes, the drafts that they begin as, versioned and hashed billing readings that are never updated, and
-- exceptions for people.

-- By which rules a utility closes from when on. Only added to.
create table billing_rules (
    id         bigint generated always as identity primary key,
    utility_id int not null references utilities,
    valid_from date not null,                                 -- periods that begin on this local day or later
    name       text not null,
    version    text not null,
    content    text not null,                                 -- the TOML as it was given (metering/billing/rule_set.py)
    author     text not null,
    added_at   timestamptz not null default now()
);
create index billing_rules_by_day on billing_rules (utility_id, valid_from, id);
create trigger append_only before update or delete on billing_rules
    for each row execute function refuse_change();

-- How many persons live, how many square metres lie behind a service point: later rows of a day hold.
create table service_point_coefficients (
    id               bigint generated always as identity primary key,
    utility_id       int not null references utilities,
    service_point_id int not null references service_points,
    per              text not null,                           -- person, square_metre, service_point
    valid_from       date not null,
    amount           numeric not null check (amount >= 0),
    author           text not null,
    added_at         timestamptz not null default now()
);
create index service_point_coefficients_by_point on service_point_coefficients (service_point_id, per, valid_from, id);
create trigger append_only before update or delete on service_point_coefficients
    for each row execute function refuse_change();

create table closes (
    id         bigint generated always as identity primary key,
    utility_id int not null references utilities,
    period     text not null check (period ~ '^\d{4}-(0[1-9]|1[0-2])$'),
    starts_at  timestamptz not null,
    ends_at    timestamptz not null check (ends_at > starts_at),
    run        int not null,                                  -- 1, 2 ... a person starts each
    author     text not null,
    closed_at  timestamptz not null default now(),
    summary    jsonb not null,                                -- counts by method and of exceptions
    drafted_at timestamptz not null default now(),            -- when its draft was begun: what came later is not in it
    seen       xid8,                                          -- as of its draft, this and the next two (close_drafts)
    cluster    bigint,
    rules      bigint,                                        -- billing_rules.id
    issued_by  xid8 not null default pg_current_xact_id(),
    unique (utility_id, period, run)
);
create trigger never_removed before delete on closes for each row execute function refuse_change();

-- What was issued of a service point's register in a period. A true-up (negative: a credit; null: nothing to settle)
-- is a line of its own beside `consumption`: start to end, with roll-overs and multiplier, is the sum of both.
-- Neither close nor utility is a foreign key: each row is made by the transaction that made its close, which cannot
-- go, and looking both up a million times proves nothing more. (The service point itself is looked up.)
create table billing_readings (
    id               bigint generated always as identity primary key,  -- also the cursor of those who pull
    utility_id       int not null,
    close_id         bigint not null,                         -- closes.id
    service_point_id int not null references service_points,
    obis             text not null,
    period           text not null,
    version          int not null check (version > 0),
    starts_at        timestamptz not null,
    ends_at          timestamptz not null,
    start_offset     interval not null,                       -- local offset from UTC at starts_at
    end_offset       interval not null,
    start_value      bigint not null,                         -- micro-units; null never: no value, no billing reading
    end_value        bigint not null,
    consumption      bigint not null,                         -- micro-units, after rollover and multiplier
    unit             text not null,
    quality          smallint not null,
    start_method     text not null,                           -- set_day, reading, interpolation, installation
    end_method       text not null,
    evidence         jsonb not null,                          -- readings, marks and installations that it rests on
    content_hash     bytea not null,                          -- SHA-256 over the canonical content
    created_at       timestamptz not null default now(),
    account          text,                                    -- the service point's when it was issued
    true_up          bigint,                                  -- micro-units beyond the estimates of the periods before
    unique (service_point_id, obis, period, version)
);
create index billing_readings_by_period on billing_readings (utility_id, period, id);
create index billing_readings_of_account on billing_readings (utility_id, account, period) where account <> '';
create trigger never_removed before delete on billing_readings for each row execute function refuse_change();

-- What could not be billed, for people.
create table billing_exceptions (
    id               bigint generated always as identity primary key,
    utility_id       int not null references utilities,
    close_id         bigint not null references closes,
    service_point_id int not null references service_points,
    obis             text not null,
    period           text not null,
    reason           text not null,
    detail           text not null,                           -- what is wrong and what can be done
    evidence         jsonb not null,
    created_at       timestamptz not null default now(),
    unique (close_id, service_point_id, obis)
);
create index billing_exceptions_by_period on billing_exceptions (utility_id, period, close_id);

-- What a period came to, and who said so: never updated or deleted. Delivered: every billing
-- reading of the close was acknowledged with matching control totals.
create table close_events (
    id         bigint generated always as identity primary key,
    utility_id int not null references utilities,
    period     text not null check (period ~ '^\d{4}-(0[1-9]|1[0-2])$'),
    run        int not null,                                  -- of `closes`; what is drafted will be that one
    state      text not null check (state in ('drafted', 'approved', 'withdrawn', 'delivered')),
    author     text not null,
    at         timestamptz not null default now(),
    summary    jsonb not null default '{}'
);
create index close_events_by_period on close_events (utility_id, period, id);
create trigger append_only before update or delete on close_events
    for each row execute function refuse_change();
create unique index delivered_once on close_events (utility_id, period, run) where state = 'delivered';

-- The one draft of a period. It goes when it is issued or withdrawn, or when a newer one takes its place.
create table close_drafts (
    id           bigint generated always as identity primary key,
    utility_id   int not null references utilities,
    period       text not null,
    base_run     int not null,                                -- the last close when this one was begun
    author       text not null,
    rules        bigint,                                      -- billing_rules.id; null: those built in
    begun_at     timestamptz not null default now(),
    drafted_at   timestamptz,                                 -- null: blocks are missing
    starts_at    timestamptz not null,
    ends_at      timestamptz not null,
    start_offset interval not null,                           -- local offset from UTC at starts_at
    end_offset   interval not null,
    blocks       int,                                         -- how many it came to when it was complete
    summary      jsonb,                                       -- the same counts as in close_events
    seen         xid8 not null default pg_snapshot_xmin(pg_current_snapshot()),  -- the oldest transaction at work then
    cluster      bigint not null default (pg_control_system()).system_identifier,
    whole        boolean not null default true,               -- all points are drafted, not the touched alone
    unique (utility_id, period)
);

-- What is drafted follows from what is stored, and is lost with a server that loses power: all four tables
-- are emptied together then, so that every block is seen as missing and drafted anew.
create unlogged table draft_blocks (
    utility_id  int not null,
    draft_id    bigint not null,
    block       int not null,
    first_point int not null,                                 -- service_points.id, both included
    last_point  int not null,
    counts      jsonb,                                        -- null: not drafted yet
    primary key (draft_id, block)
);

create unlogged table draft_readings (
    utility_id       int not null,
    draft_id         bigint not null,
    service_point_id int not null,
    obis             text not null,
    version          int not null,
    start_value      bigint not null,
    end_value        bigint not null,
    consumption      bigint not null,
    unit             text not null,
    quality          smallint not null,
    start_method     text not null,
    end_method       text not null,
    evidence         jsonb not null,
    content_hash     bytea not null,
    true_up          bigint
);

create unlogged table draft_exceptions (
    utility_id       int not null,
    draft_id         bigint not null,
    service_point_id int not null,
    obis             text not null,
    reason           text not null,
    detail           text not null,
    evidence         jsonb not null
);

-- The service points of a draft that is not of all.
create unlogged table draft_points (
    utility_id       int not null,
    draft_id         bigint not null,
    service_point_id int not null,
    primary key (draft_id, service_point_id)
);

-- A close again drafts the service points that something happened to since the close before. What happened is told
-- by the transaction that did it: whatever is not older than `close_drafts.seen` may have been invisible to that
-- draft. Numbers of transactions mean something within one cluster alone: not in a copy restored from a dump.
create table touched_days (
    block      int not null,                                  -- block_of(register_id)
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

-- The telegrams behind billing readings, by the evidence of those.
create table disputable_telegrams (
    utility_id  int not null references utilities,
    meter_id    int not null references meters,
    measured_at timestamptz not null,
    issued_at   timestamptz not null,                         -- of the last billing reading that rests on it
    primary key (meter_id, measured_at)
);

-- Called by what issues billing readings (store/billing/drafts.py), in the same transaction: a trigger would be given
-- a copy of a million new rows.
create function note_disputable_telegrams(close_id bigint) returns void
    language sql security definer set search_path = public, pg_temp as $$
    insert into disputable_telegrams (utility_id, meter_id, measured_at, issued_at)
    select behind.utility_id, m.id, behind.at, max(behind.created_at)
    from (
        select i.utility_id, i.created_at, part ->> 'meter' as meter, (reading ->> 'at')::timestamptz as at
        from closes c
        join billing_readings i on i.utility_id = c.utility_id and i.period = c.period and i.close_id = c.id
        cross join jsonb_array_elements(i.evidence -> 'installations') part
        cross join jsonb_array_elements(
            coalesce(part #> '{start,readings}', '[]') || coalesce(part #> '{end,readings}', '[]')
            || coalesce(part #> '{carried,found_now,readings}', '[]')) reading
        where c.id = note_disputable_telegrams.close_id
    ) behind
    join meters m on m.utility_id = behind.utility_id and m.code = behind.meter
    where exists (select from telegrams t where t.meter_id = m.id and t.measured_at = behind.at)
    group by 1, 2, 3 order by 2, 3
    on conflict (meter_id, measured_at) do update set issued_at = excluded.issued_at
$$;

-- As people and hashes write them: '56.108', '2016-03-01T00:00:00Z' (metering/billing/canonical_hash.py has the same two).
create function decimal_text(micro bigint) returns text
    language sql immutable parallel safe
    return trim_scale(micro * 0.000001)::text;

create function instant_text(at timestamptz) returns text
    language sql stable parallel safe
    return to_char(at at time zone 'UTC',
                   case when extract(microseconds from at at time zone 'UTC')::int % 1000000 = 0
                        then 'YYYY-MM-DD"T"HH24:MI:SS"Z"' else 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"' end);

-- How many times one consumption (micro-units) is the other, up or down, one unit added to both.
create function apart(one bigint, other bigint) returns numeric
    language sql immutable parallel safe
    return round(greatest((abs(one) + 1000000)::numeric / (abs(other) + 1000000),
                          (abs(other) + 1000000)::numeric / (abs(one) + 1000000)), 3);
