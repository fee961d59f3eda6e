-- What each role may do, and nothing else: rights are taken back first, so that this file is the whole truth.

do $$
declare
    role text;
begin
    foreach role in array array['hesper_ingest', 'hesper_api', 'hesper_admin'] loop
        execute format('revoke all on all tables in schema public from %I', role);
        execute format('grant select on schema_migrations to %I', role);
    end loop;
end $$;

-- An API key is found before it is known whose it is. These say that much and no more.
create or replace function api_key_of_secret(hash bytea) returns table (id int, utility_id int)
    language sql stable security definer set search_path = public, pg_temp
as $$ select k.id, k.utility_id from api_keys k where k.secret_hash = hash $$;
create or replace function utility_of_api_key(key_id int) returns int
    language sql stable security definer set search_path = public, pg_temp
as $$ select k.utility_id from api_keys k where k.id = key_id $$;
revoke execute on function api_key_of_secret, utility_of_api_key from public;
grant execute on function api_key_of_secret, utility_of_api_key to hesper_api, hesper_admin;

-- Whoever calls them, they do what the settings say.
revoke execute on function expire from public;
grant execute on function expire to hesper_ingest, hesper_admin;
do $$ begin
    if to_regproc('make_months') is not null then
        revoke execute on function make_months from public;
        grant execute on function make_months to hesper_ingest, hesper_admin;
    end if;
end $$;
grant select on retention to hesper_ingest;

-- Ingest and validation: what arrives is added, and never altered or removed.
grant select on utilities, sites, gateways, meters, registers, readings, telegrams, quarantine,
    validation_queue, validation_blocks, marks, findings to hesper_ingest;
grant insert on readings, telegrams, quarantine, registers, validation_queue, validation_blocks, marks, findings
    to hesper_ingest;
grant update (state, state_at, health, health_at) on gateways to hesper_ingest;
grant update (id) on meters to hesper_ingest;  -- lets it lock a row; an identity takes no value
grant update (validated_until) on registers to hesper_ingest;
grant update (state, detail, received_at, resolved_at) on quarantine to hesper_ingest;
grant update, delete on validation_queue, marks, findings to hesper_ingest;
grant update on validation_blocks to hesper_ingest;

do $$ begin  -- a poll that gave no readout, where the schema keeps those
    if to_regclass('missed_polls') is not null then
        grant select, insert on missed_polls to hesper_ingest;
        grant select on missed_polls to hesper_api;
    end if;
end $$;

-- The API: one utility's rows (0002), its readings by the views (0003).
grant select on utilities, sites, gateways, lines, meters, verifications, registers, service_points,
    installations, registry_history, marks, telegrams, findings, quarantine, closes, billing_readings,
    billing_exceptions, billing_acknowledgements, utility_readings, utility_latest_readings, utility_readings_hourly, utility_readings_daily to hesper_api;
grant select (id, utility_id, name, created_at, expires_at, revoked_at, last_used_at) on api_keys to hesper_api;
grant update (revoked_at, last_used_at) on api_keys to hesper_api;
grant insert on billing_acknowledgements to hesper_api;

-- People at the command line. Nothing of the registry is deleted, and nothing issued is altered.
grant select on all tables in schema public to hesper_admin;
grant insert, update on utilities, sites, gateways, lines, meters, verifications, registers, service_points,
    installations, api_keys to hesper_admin;
grant update (keep) on retention to hesper_admin;
grant insert on closes, billing_readings, billing_exceptions, close_events, billing_rules,
    service_point_coefficients to hesper_admin;
grant insert, update, delete on close_drafts, draft_blocks, draft_readings, draft_exceptions to hesper_admin;
