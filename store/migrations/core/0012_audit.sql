-- The audit log: who did what, in one hash chain a utility (and one for what belongs to none, such as a sign-in
-- with a name that nobody has). A row's hash covers the hash before it, so that no row can be altered, removed
-- or put in between without every later hash being wrong. `hesper audit verify` recomputes them.

create table audit_log (
    id         bigint generated always as identity primary key,
    utility_id int references utilities,
    position   bigint not null,                               -- 1, 2 ... in its chain
    at         timestamptz not null,
    actor      text not null,                                 -- "anna", "key 7 billing", a login of the database
    address    text not null,                                 -- of the client; empty: the command line
    action     text not null,                                 -- signed in, refused, read, change of users ...
    subject    text not null,                                 -- the address asked for, or the row that changed
    detail     text not null,                                 -- JSON, kept as the text that was hashed
    previous   bytea not null,                                -- the hash before; empty: the chain begins
    hash       bytea not null
);
create unique index audit_log_chain on audit_log (coalesce(utility_id, 0), position);

-- SHA-256 over `previous` and each field as a netstring, which nothing in a field can imitate.
create function audit_hash(previous bytea, variadic fields text[]) returns bytea
    language sql stable set search_path = pg_catalog
    return (select sha256(previous || coalesce(string_agg(
        convert_to(octet_length(convert_to(field, 'UTF8')) || ':', 'UTF8') || convert_to(field || ',', 'UTF8'),
        '' order by n), ''))
        from unnest(fields) with ordinality as f(field, n));

-- A chain has one end: who adds to it keeps others from it until the transaction ends.
create function chain_audit_row() returns trigger
    language plpgsql security definer set search_path = public, pg_temp as $$
begin
    perform pg_advisory_xact_lock(1096107092, coalesce(new.utility_id, 0));  -- "AUDT"
    select position, hash into new.position, new.previous from audit_log
    where coalesce(utility_id, 0) = coalesce(new.utility_id, 0) order by position desc limit 1;
    new.position := coalesce(new.position, 0) + 1;
    new.previous := coalesce(new.previous, '');
    new.at := clock_timestamp();
    new.hash := audit_hash(new.previous, coalesce(new.utility_id::text, ''), new.position::text,
                           to_char(new.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'),
                           new.actor, new.address, new.action, new.subject, new.detail);
    return new;
end $$;
create trigger chain before insert on audit_log for each row execute function chain_audit_row();
create trigger append_only before update or delete on audit_log for each row execute function refuse_change();
create trigger never_emptied before truncate on audit_log for each statement execute function refuse_change();

-- Every change of these tables shows in the log, in the change's transaction, whichever way it came. The names of the
-- columns are told and no contents: some are secret, and most are in the row or its own history. It waits for the
-- commit, so that a long transaction keeps nobody from the chain.
create function audit_change() returns trigger
    language plpgsql security definer set search_path = public, pg_temp as $$
declare
    came    jsonb := to_jsonb(new);
    was     jsonb := case tg_op when 'UPDATE' then to_jsonb(old) else '{}' end;
    columns jsonb;
begin
    select jsonb_agg(key order by key) into columns from jsonb_each(came)
    where value is distinct from coalesce(was -> key, 'null');
    if columns is not null then
        insert into audit_log (utility_id, actor, address, action, subject, detail)
        values ((came ->> 'utility_id')::int,
                coalesce(came ->> 'author', nullif(current_setting('hesper.author', true), ''), session_user),
                coalesce(current_setting('hesper.address', true), ''),
                case tg_op when 'INSERT' then 'added' else 'changed' end,
                tg_table_name || coalesce(' ' || (came ->> 'id'), ''),
                jsonb_build_object('columns', columns)::text);
    end if;
    return null;
end $$;

do $$
declare
    audited record;
begin
    for audited in
        select * from (values
            ('registry_history', 'insert'), ('closes', 'insert'), ('close_events', 'insert'),
            ('billing_rules', 'insert'), ('rule_parameters', 'insert'), ('service_point_coefficients', 'insert'),
            ('billing_acknowledgements', 'insert'), ('edits', 'insert'), ('edit_approvals', 'insert'),
            ('finding_changes', 'insert'), ('tasks', 'insert'),
            ('gateway_commands', 'insert'), ('gateway_configurations', 'insert'),
            ('retention', 'insert or update'), ('user_roles', 'insert or update'),
            ('users', 'insert or update of login, name, password_hash, totp_secret, recovery_hashes, disabled_at'),
            ('api_keys', 'insert or update of name, scopes, expires_at, revoked_at')
        ) as t (name, events)
    loop
        execute format('create constraint trigger audited after %s on %I deferrable initially deferred '
                       'for each row execute function audit_change()', audited.events, audited.name);
    end loop;
end $$;
