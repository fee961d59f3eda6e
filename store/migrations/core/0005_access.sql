-- People, what they may do for which utility, keys of programs, sessions, and what changes over the API were answered.

create table users (
    id              int generated always as identity primary key,
    login           text not null unique,                     -- "anna"; "<subject> (<issuer>)" of a provider
    name            text not null default '',
    issuer          text,                                     -- OpenID Connect: who vouches for the person, and
    subject         text,                                     -- as whom; null: a password does
    password_hash   text,                                     -- Argon2id, with its parameters and salt
    totp_secret     bytea,                                    -- encrypted with the installation's secret
    totp_pending    bytea,                                    -- shown to the person, not confirmed yet
    totp_step       bigint not null default 0,                -- the last code's time step: none counts twice
    recovery_hashes bytea[] not null default '{}',            -- SHA-256 of codes that were not used yet
    created_at      timestamptz not null default now(),
    disabled_at     timestamptz,
    unique (issuer, subject),
    check ((issuer is null) = (subject is null)),
    check (issuer is not null or login ~ '^[a-z0-9][a-z0-9._@+-]{0,63}$'),
    check (issuer is null or password_hash is null and totp_secret is null)
);

create table user_roles (
    utility_id int not null references utilities,
    user_id    int not null references users,
    role       text not null check (role in ('viewer', 'engineer', 'billing', 'approver', 'administrator')),
    granted_at timestamptz not null default now(),
    revoked_at timestamptz,
    primary key (utility_id, user_id, role)
);
create index user_roles_of_user on user_roles (user_id);

create table api_keys (
    id           int generated always as identity primary key,
    utility_id   int not null references utilities,
    name         text not null,
    secret_hash  bytea not null unique,                       -- SHA-256 of a 256-bit random key
    created_at   timestamptz not null default now(),
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz,
    scopes       text[] not null default                      -- what it opens
                 '{meters:read,findings:read,readings:read,telegrams:read,billing:read,billing:acknowledge}'
);

-- A signed-in browser. The cookie holds a random token, the row its SHA-256.
create table sessions (
    id           bigint generated always as identity primary key,
    utility_id   int not null references utilities,           -- whose rows it shows now
    user_id      int references users,
    api_key_id   int references api_keys,
    token_hash   bytea not null unique,
    granted      jsonb not null default '{}',                 -- {"alpha": ["viewer"]}: what a provider's claims give
    created_at   timestamptz not null,
    seen_at      timestamptz not null,
    expires_at   timestamptz not null,
    ended_at     timestamptz,
    check ((user_id is null) <> (api_key_id is null))
);
create index sessions_of_user on sessions (user_id) where ended_at is null;

-- Attempts to sign in that were not right, by who was meant and from where; what is a day old goes.
create table sign_in_attempts (
    subject  bytea primary key,                               -- SHA-256
    failures int not null,
    last_at  timestamptz not null
);
create index sign_in_attempts_by_age on sign_in_attempts (last_at);

create function sign_in_wait(had sign_in_attempts, free int, first interval, longest interval) returns interval
    language sql immutable as $$
    select case when had.failures < free then interval '0'
                else least(first * power(2, least(had.failures - free, 30)), longest) end
$$;

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
