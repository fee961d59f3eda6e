-- Four roles, none of them a superuser, none past row security. They belong to the whole server: several
-- databases share them, and one that is there already is taken as it is. Without a password nobody logs in as
-- one over the network; `hesper migrate --password ROLE` gives it one.

do $$
declare
    role text;
begin
    foreach role in array array['hesper_ingest', 'hesper_deliver', 'hesper_api', 'hesper_admin'] loop
        if to_regrole(role) is null then
            begin
                execute format('create role %I login', role);
            exception
                when duplicate_object or unique_violation then null;  -- by who migrates another database now
                when insufficient_privilege then
                    raise exception 'the role % is missing, and % may not create roles', role, current_user
                        using hint = format('let an administrator run: create role %I login; '
                                            'grant %I to %I with admin option;', role, role, current_user);
            end;
        end if;
        if exists (select from pg_roles where rolname = role and (rolsuper or rolbypassrls)) then
            raise exception 'the role % passes row security', role
                using hint = format('let an administrator run: alter role %I nosuperuser nobypassrls;', role);
        end if;
        if not pg_has_role(current_user, role, 'usage') then
            begin
                execute format('grant %I to current_user', role);
            exception when insufficient_privilege then
                raise exception '% owns the tables but is no member of %', current_user, role
                    using hint = format('let an administrator run: grant %I to %I;', role, current_user);
            end;
        end if;
    end loop;
    if not pg_has_role('hesper_admin', 'hesper_ingest', 'usage') then
        grant hesper_ingest to hesper_admin;  -- who replays and validates from the command line
    end if;
end $$;
