-- Secrets that have to be used again are encrypted with keys that are not in the database. Here is only which keys those
-- are, so that nobody encrypts with one that the others do not have.

create table keyring (
    fingerprint text primary key,                             -- the beginning of the key's SHA-256
    added_at    timestamptz not null default now()
);

-- The secret before this one is kept by whoever gives a new one, and not where both are encrypted anew.
drop trigger keep_previous_secret on destinations;
create trigger keep_previous_secret before update of secret on destinations
    for each row when (coalesce(current_setting('hesper.resealing', true), '') <> 'on')
    execute function keep_previous_secret();
