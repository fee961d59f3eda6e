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

revoke create on schema public from public;  -- as PostgreSQL 15 has it; one that was upgraded may not

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

-- What the utility wants of the rules, and what people decided about readings.
grant select on rule_parameters, edits, edit_approvals, edited_readings to hesper_ingest, hesper_api;
grant select on installations to hesper_ingest;
grant insert on rule_parameters, edits, edit_approvals to hesper_admin;

-- Who is told of findings. The API sees neither targets nor secrets.
grant select on alarm_routes, alarms_told to hesper_ingest;
grant update (told_at, failures, failure, retry_at) on alarm_routes to hesper_ingest;
grant insert on alarms_told to hesper_ingest;
grant insert, update on alarm_routes to hesper_admin;

-- What was missed, and what arrived of what was due: counted anew where readings came.
grant select, insert on missed_polls to hesper_ingest;
grant select, insert, update, delete on arrivals, arrival_queue to hesper_ingest;
grant select on missed_polls, arrivals to hesper_api;

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
grant insert on closes, billing_readings, billing_exceptions to hesper_admin;
