-- By which rules a utility closes from when on, and what its norms are multiplied by. Both are only added to.

create table billing_rules (
    id         bigint generated always as identity primary key,
    utility_id int not null references utilities,
    valid_from date not null,                                 -- periods that begin on this local day or later
    name       text not null,
    version    text not null,
    content    text not null,                                 -- the TOML as it was given (metering/billing/rule_set.py)
    author     text not null,
    added_at   timestamptz not null default now()
);
create index billing_rules_by_day on billing_rules (utility_id, valid_from, id);
create trigger append_only before update or delete on billing_rules
    for each row execute function refuse_change();

-- How many persons live, how many square metres lie behind a service point: later rows of a day hold.
create table service_point_coefficients (
    id               bigint generated always as identity primary key,
    utility_id       int not null references utilities,
    service_point_id int not null references service_points,
    per              text not null,                           -- person, square_metre, service_point
    valid_from       date not null,
    amount           numeric not null check (amount >= 0),
    author           text not null,
    added_at         timestamptz not null default now()
);
create index service_point_coefficients_by_point on service_point_coefficients (service_point_id, per, valid_from, id);
create trigger append_only before update or delete on service_point_coefficients
    for each row execute function refuse_change();

-- What was used beyond the estimates of the periods before (micro-units; negative: a credit). A line of its own
-- beside `consumption`: start to end, with roll-overs and multiplier, is the sum of both. Null: nothing to settle.
alter table billing_readings add column true_up bigint;
alter table draft_readings add column true_up bigint;
