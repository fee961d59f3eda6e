-- People at the command line: the user of the system who is this person, where commands run.

alter table users add column os_user text unique;         -- as the password file names them: "anna.k"

drop trigger audited on users;
create constraint trigger audited after insert
    or update of login, name, password_hash, totp_secret, recovery_hashes, disabled_at, os_user on users
    deferrable initially deferred for each row execute function audit_change();
