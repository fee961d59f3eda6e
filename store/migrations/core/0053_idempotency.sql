-- What a change under /v1 was answered, by the Idempotency-Key of who asked: whoever repeats the request within a
-- day gets the same answer, and the change is made once. Written in the transaction of the change.

create table idempotency_keys (
    utility_id   int not null references utilities,
    owner        text not null,                               -- whose key it is: "key 7"
    key          text not null,
    request_hash bytea not null,                              -- SHA-256 of method, address and body
    status       smallint not null,
    headers      jsonb not null,
    body         bytea not null,                              -- as it was sent, before compression
    at           timestamptz not null default now(),
    primary key (utility_id, owner, key)
);
create index idempotency_keys_by_age on idempotency_keys (at);

-- Who adds one takes along what is too old, of whatever utility; rows that another is removing are left to it.
create function forget_old_idempotency_keys() returns trigger
    language plpgsql security definer set search_path = public, pg_temp as $$
begin
    delete from idempotency_keys where ctid = any(array(
        select ctid from idempotency_keys where at <= now() - interval '24 hours'
        limit 1000 for update skip locked));
    return null;
end $$;
create trigger forget_old before insert on idempotency_keys
    for each statement execute function forget_old_idempotency_keys();
