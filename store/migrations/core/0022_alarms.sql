-- Who is told of findings, by which way, and what was told.

create table alarm_routes (
    id         int generated always as identity primary key,
    utility_id int not null references utilities,
    name       text not null,
    way        text not null check (way in ('email', 'webhook')),
    target     text not null,                                 -- an address, or a URL
    secret     text,                                          -- whsec_ and base64; signs webhooks
    severity   text not null default 'warning' check (severity in ('info', 'warning', 'alarm')),
    quiet_from time,                                          -- local; only alarms are told in between
    quiet_to   time check ((quiet_to is null) = (quiet_from is null)),
    digest_at  time,                                          -- local; one message a day. null: as it happens
    active     boolean not null default true,
    since      timestamptz not null default now(),            -- what was found before is not told
    told_at    timestamptz,                                   -- the last message that was taken
    failures   int not null default 0,                        -- in a row
    failure    text not null default '',
    retry_at   timestamptz,
    unique (utility_id, name),
    check ((secret is not null) = (way = 'webhook'))
);

create table alarms_told (
    route_id   int not null references alarm_routes,
    finding_id bigint not null references findings on delete cascade,
    utility_id int not null references utilities,
    told_at    timestamptz not null default now(),
    primary key (route_id, finding_id)
);
create index alarms_told_by_finding on alarms_told (finding_id);
