-- What each role may do, and nothing else: rights are taken back first, so that this file is the whole truth.

do $$
declare
    role text;
begin
    foreach role in array array['hesper_ingest', 'hesper_deliver', 'hesper_api', 'hesper_admin'] loop
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

-- So are a person, whose login is typed in, and a session, whose cookie comes along.
create or replace function person_of_login(login text) returns int
    language sql stable security definer set search_path = public, pg_temp
as $$ select u.id from users u where u.login = person_of_login.login and u.issuer is null $$;
create or replace function session_of_token(hash bytea) returns table (id bigint, utility_id int, user_id int)
    language sql stable security definer set search_path = public, pg_temp
as $$ select s.id, s.utility_id, s.user_id from sessions s where s.token_hash = hash $$;
-- A provider vouched for somebody: the account is made at the first time, with no role.
create or replace function person_of_subject(issuer text, subject text, login text, name text) returns int
    language sql security definer set search_path = public, pg_temp
as $$
    insert into users as u (login, name, issuer, subject) values (login, name, issuer, subject)
    on conflict on constraint users_issuer_subject_key do update set name = excluded.name
    returning u.id
$$;
create or replace function utility_of_code(code text) returns int
    language sql stable security definer set search_path = public, pg_temp
as $$ select u.id from utilities u where u.code = utility_of_code.code $$;
create or replace function code_of_utility(utility_id int) returns text
    language sql stable security definer set search_path = public, pg_temp
as $$ select u.code from utilities u where u.id = utility_id $$;
-- Whom a finding can be given to: the names of a utility's own people, for that utility's sessions.
create or replace function people_of_utility() returns table (login text, name text)
    language sql stable security definer set search_path = public, pg_temp
as $$
    select u.login, u.name from users u
    where u.disabled_at is null
      and (exists (select from user_roles r where r.user_id = u.id and r.utility_id = current_utility()
                   and r.revoked_at is null)
           or u.issuer is not null  -- a provider's claims give roles to sessions
              and exists (select from sessions s where s.user_id = u.id and s.utility_id = current_utility()
                          and s.seen_at > now() - interval '30 days'))
$$;
revoke execute on function person_of_login, session_of_token, person_of_subject, utility_of_code, code_of_utility,
    people_of_utility from public;
grant execute on function person_of_login, session_of_token, person_of_subject, utility_of_code, code_of_utility,
    people_of_utility to hesper_api, hesper_admin;

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
grant update (state, state_at, health, health_at, epochs) on gateways to hesper_ingest;
grant update (id) on meters to hesper_ingest;  -- lets it lock a row; an identity takes no value
grant update (validated_until) on registers to hesper_ingest;
grant update (state, detail, received_at, resolved_at) on quarantine to hesper_ingest;
grant update, delete on validation_queue, marks, findings to hesper_ingest;
grant update on validation_blocks to hesper_ingest;

-- What the utility wants of the rules, and what people decided about readings.
grant select on rule_parameters, edits, edit_approvals, edited_readings to hesper_ingest, hesper_api;
grant select on installations to hesper_ingest;
grant insert on rule_parameters to hesper_admin;
grant insert on edits, edit_approvals to hesper_admin, hesper_api;  -- they take effect by triggers

-- What people do with findings: a change takes effect by a trigger, which is the one that sets a state.
grant select on finding_changes to hesper_ingest, hesper_api;
grant insert on finding_changes to hesper_api, hesper_admin;
grant update (id) on findings to hesper_api, hesper_admin;  -- lets it lock a row; an identity takes no value

-- Who is told of findings. The API sees neither targets nor secrets.
grant select on alarm_routes, alarms_told to hesper_ingest;
grant update (told_at, failures, failure, retry_at) on alarm_routes to hesper_ingest;
grant insert on alarms_told to hesper_ingest;
grant insert, update on alarm_routes to hesper_admin;

-- What was missed, and what arrived of what was due: counted anew where readings came.
grant select, insert on missed_polls to hesper_ingest;
grant select, insert, update, delete on arrivals, arrival_queue to hesper_ingest;
grant select on missed_polls, arrivals to hesper_api;

-- What gateways told and were asked: the API asks, ingesters send it and keep what comes back.
grant select, insert on gateway_health, gateway_states, gateway_replies to hesper_ingest;
grant select on gateway_commands, gateway_configurations to hesper_ingest;
grant update (state, state_at, sent_at) on gateway_commands to hesper_ingest;
grant insert on gateway_commands to hesper_ingest;                     -- where it sees that the database went back
grant select, insert, update on gateway_stored to hesper_ingest;
grant update (state, state_at, sent_at, reported_at) on gateway_configurations to hesper_ingest;
grant select on gateway_health, gateway_states, gateway_replies, gateway_commands, gateway_configurations
    to hesper_api;
grant insert on gateway_commands, gateway_configurations to hesper_api;

-- How gateways, lines and meters' clocks were, and what houses used: told and counted, and kept for a while.
grant select, insert, update, delete on gateway_hours, line_hours, meter_clocks, balance_days, balance_queue
    to hesper_ingest;
grant select on fuses, contracts, lines, service_points to hesper_ingest;
grant select on gateway_hours, line_hours, meter_clocks, balance_days, fuses, contracts to hesper_api;

-- The API: one utility's rows (0002), its readings by the views (0003).
grant select on utilities, sites, gateways, lines, meters, verifications, registers, service_points,
    installations, registry_history, marks, telegrams, findings, quarantine, closes, billing_readings,
    billing_exceptions, billing_acknowledgements, utility_readings, utility_latest_readings, utility_readings_hourly, utility_readings_daily to hesper_api;
grant select (id, utility_id, name, scopes, created_at, expires_at, revoked_at, last_used_at) on api_keys
    to hesper_api;
grant update (revoked_at, last_used_at) on api_keys to hesper_api;
grant insert on billing_acknowledgements to hesper_api;
grant select, insert, update, delete on sign_in_attempts to hesper_api;
grant select on outbox, delivery_acknowledgements, submissions to hesper_api;
grant select (id, utility_id, url, allow_private, created_at, removed_at) on destinations to hesper_api;
grant update (state, acknowledged_at, attempts, due_at) on outbox to hesper_api;  -- acknowledged, or sent again
grant insert on delivery_acknowledgements, submissions to hesper_api;

-- Who approves in the browser issues what was drafted: rows are added, and nothing but the draft goes.
grant select on close_drafts, draft_blocks, draft_readings, draft_exceptions, draft_points, close_events,
    billing_rules to hesper_api;
grant insert on closes, billing_readings, billing_exceptions, close_events, outbox to hesper_api;
grant delete on close_drafts, draft_blocks, draft_readings, draft_exceptions, draft_points to hesper_api;
revoke execute on function note_disputable_telegrams from public;
grant execute on function note_disputable_telegrams to hesper_api, hesper_admin;

-- What it asks others to do: `hesper worker run` writes down what came of it.
grant select, insert on tasks to hesper_api;
grant update (done_at, outcome, failure) on tasks to hesper_admin;

-- The registry, by whoever has the scope for it. Codes and beginnings name rows and stay; nothing is deleted.
grant insert on sites, meters, verifications, service_points, installations to hesper_api;
grant update (name, address, parent_id) on sites to hesper_api;
grant update (gateway_id, line_id, site_id, model, medium, qmax, imax, phases, verified_until) on meters to hesper_api;
grant update (valid_until, certificate) on verifications to hesper_api;
grant update (site_id, name, medium, account, ended_at) on service_points to hesper_api;
grant update (valid_to, multiplier, start_values, end_values) on installations to hesper_api;

-- What was answered to an Idempotency-Key; what is a day old goes by a trigger (core/0005).
grant select, insert on idempotency_keys to hesper_api;

-- Delivery: the one who reads the secrets that sign, and nothing but what is sent.
grant select on utilities, service_points, billing_readings, destinations, outbox to hesper_deliver;
grant update (resting_until, secret, previous_secret) on destinations to hesper_deliver;  -- encrypted anew
grant select, insert on keyring to hesper_deliver;
grant update (state, attempts, due_at, delivered_at, last_error) on outbox to hesper_deliver;

-- A signed-in person's own account, the sessions of browsers, and the log of all that is done.
grant select on users, user_roles, sessions, audit_log to hesper_api;
grant update (password_hash, totp_secret, totp_pending, totp_step, recovery_hashes) on users to hesper_api;
grant insert on sessions, audit_log to hesper_api;
grant update (utility_id, seen_at, ended_at) on sessions to hesper_api;

-- People at the command line. Nothing of the registry is deleted, and nothing issued is altered.
grant select on all tables in schema public to hesper_admin;
revoke select on destinations from hesper_admin;  -- a secret is given, and never shown again
grant select (id, utility_id, url, allow_private, previous_until, resting_until, author, created_at, removed_at)
    on destinations to hesper_admin;
grant insert, update on utilities, sites, gateways, lines, meters, verifications, registers, service_points,
    installations, fuses, contracts, api_keys, users, user_roles to hesper_admin;
grant insert, update (seen_at, ended_at) on sessions to hesper_admin;
grant insert on audit_log, keyring to hesper_admin;
grant update (keep) on retention to hesper_admin;
grant insert on closes, billing_readings, billing_exceptions, close_events, billing_rules,
    service_point_coefficients to hesper_admin;
grant insert, update, delete on close_drafts, draft_blocks, draft_readings, draft_exceptions, draft_points
    to hesper_admin;
grant delete on touched_days to hesper_admin;
grant insert on destinations, outbox to hesper_admin;
grant update (secret, previous_until, removed_at) on destinations to hesper_admin;
grant update (state, attempts, due_at, last_error) on outbox to hesper_admin;
