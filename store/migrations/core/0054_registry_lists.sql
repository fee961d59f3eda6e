-- What the registry's lists of /v1 are narrowed by, of a hundred thousand meters.

create index meters_by_gateway on meters (gateway_id, code);
create index meters_by_verification on meters (utility_id, verified_until);
create index service_points_by_account on service_points (utility_id, account);
create index registry_history_by_utility on registry_history (utility_id, id);
