-- Readings that people hand in, accepted or not. When a utility takes them is said by its rule sets.

create table submissions (
    id               bigint generated always as identity primary key,
    utility_id       int not null references utilities,
    service_point_id int not null references service_points,
    register_id      int references registers,                -- null: refused, since it names none
    read_at          timestamptz not null,
    value            bigint not null,                         -- micro-units, as handed in
    role             text not null check (role in ('inspector', 'resident')),
    author           text not null,                           -- who read it
    api_key_id       int not null references api_keys,        -- who handed it in
    photo            text not null default '',                -- a reference; the picture is kept elsewhere
    verdict          text not null,                           -- accepted, or the name of what was wrong
    detail           text not null,                           -- what the sender was told
    counts_in        text check (counts_in ~ '^\d{4}-(0[1-9]|1[0-2])$'),  -- the period; null: refused
    idempotency_key  text not null,
    request_hash     bytea not null,                          -- SHA-256 of what was asked
    at               timestamptz not null default now(),
    unique (utility_id, idempotency_key),
    check ((verdict = 'accepted') = (counts_in is not null)),
    check (verdict <> 'accepted' or register_id is not null)
);
create index submissions_of_point on submissions (service_point_id, read_at);

create trigger append_only before update or delete on submissions
    for each row execute function refuse_change();

-- An accepted one is a reading, by whatever right it was handed in: who may add
-- submissions of a utility needs none to add readings.
create function store_submitted_reading() returns trigger
    language plpgsql security definer set search_path = public, pg_temp set timezone = 'UTC' as $$
declare
    known bigint;
begin
    perform from registers where id = new.register_id and utility_id = new.utility_id;
    if not found then
        raise exception 'register % is not of utility %', new.register_id, new.utility_id
            using errcode = 'insufficient_privilege';
    end if;
    insert into readings (register_id, measured_at, value, status)
    values (new.register_id, new.read_at, new.value, manual_status())
    on conflict (register_id, measured_at) do nothing;
    select value into known from readings
    where register_id = new.register_id and measured_at = new.read_at;
    if known <> new.value then
        raise exception 'another value is stored for this instant' using errcode = 'unique_violation';
    end if;
    insert into validation_queue (block, day, marked_at)
    values (block_of(new.register_id), (new.read_at at time zone 'UTC')::date, clock_timestamp())
    on conflict (block, day) do update set marked_at = excluded.marked_at;
    return null;
end $$;
create trigger store_reading after insert on submissions
    for each row when (new.verdict = 'accepted') execute function store_submitted_reading();
