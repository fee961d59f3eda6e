-- People, what they may do for which utility, their sessions, and what a key opens.

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

alter table api_keys add column scopes text[] not null default
    '{meters:read,findings:read,readings:read,telegrams:read,billing:read,billing:acknowledge}';

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

create constraint trigger audited
    after insert or update of login, name, password_hash, totp_secret, recovery_hashes, disabled_at on users
    deferrable initially deferred for each row execute function audit_change();
create constraint trigger audited after insert or update on user_roles
    deferrable initially deferred for each row execute function audit_change();
create constraint trigger audited after insert or update of name, scopes, expires_at, revoked_at on api_keys
    deferrable initially deferred for each row execute function audit_change();
