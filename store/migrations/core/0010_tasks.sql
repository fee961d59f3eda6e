-- What people asked for in the browser or over /v1 that takes longer than an answer may, or rights that the API does
-- not have: `hesper worker run` takes it up. The rows are the history of who asked for what, and what came of it.

create table tasks (
    id         bigint generated always as identity primary key,
    utility_id int not null references utilities,
    kind       text not null check (kind in ('draft', 'replay', 'discard', 'accept')),
    subject    jsonb not null,                                -- {"period": "2026-10"}, {"reason": "obis"} ...
    author     text not null check (author <> ''),
    reason     text not null default '',
    asked_at   timestamptz not null default now(),
    done_at    timestamptz,                                   -- null: it waits, or is worked on
    outcome    jsonb,                                         -- figures of what was done
    failure    text,                                          -- why it could not be, and what to do
    check ((done_at is not null) = (outcome is not null or failure is not null))
);
create index tasks_by_utility on tasks (utility_id, id);
create index tasks_to_do on tasks (id) where done_at is null;
create unique index one_draft_at_once on tasks (utility_id, (subject ->> 'period'))
    where kind = 'draft' and done_at is null;
