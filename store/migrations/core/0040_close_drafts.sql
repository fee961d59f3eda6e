-- A close is drafted block by block, looked at, and then issued whole.

-- What a period came to, and who said so: never updated or deleted.
create table close_events (
    id         bigint generated always as identity primary key,
    utility_id int not null references utilities,
    period     text not null check (period ~ '^\d{4}-(0[1-9]|1[0-2])$'),
    run        int not null,                                  -- of `closes`; what is drafted will be that one
    state      text not null check (state in ('drafted', 'approved', 'withdrawn')),
    author     text not null,
    at         timestamptz not null default now(),
    summary    jsonb not null default '{}'
);
create index close_events_by_period on close_events (utility_id, period, id);
create trigger append_only before update or delete on close_events
    for each row execute function refuse_change();

-- The one draft of a period. It goes when it is issued or withdrawn, or when a newer one takes its place.
create table close_drafts (
    id         bigint generated always as identity primary key,
    utility_id int not null references utilities,
    period     text not null,
    base_run   int not null,                                  -- the last close when this one was begun
    author     text not null,
    rules      bigint,                                        -- billing_rules.id; null: those built in
    begun_at   timestamptz not null default now(),
    drafted_at timestamptz,                                   -- null: blocks are missing
    unique (utility_id, period)
);

-- What is drafted follows from what is stored, and is lost with a server that loses power: all three tables
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
    content_hash     bytea not null
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

-- As people and hashes write them: '56.108', '2016-03-01T00:00:00Z' (metering/billing/canonical_hash.py has the same two).
create function decimal_text(micro bigint) returns text
    language sql immutable parallel safe
    return trim_scale(micro * 0.000001)::text;

create function instant_text(at timestamptz) returns text
    language sql stable parallel safe
    return to_char(at at time zone 'UTC',
                   case when extract(microseconds from at at time zone 'UTC')::int % 1000000 = 0
                        then 'YYYY-MM-DD"T"HH24:MI:SS"Z"' else 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"' end);
