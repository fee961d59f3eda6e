-- What a house used and what its flats did, by local day: counted from the readings, anew whenever some came.

create table balance_days (
    site_id    int not null references sites,
    medium     smallint not null,
    day        date not null,                                 -- local
    utility_id int not null references utilities,
    obis       text not null,                                 -- of the house meter's register
    unit       text not null,                                 -- of all figures; micro-units
    house      bigint,                                        -- null: not known
    points     int[] not null,                                -- service points behind the house, by id
    used       bigint[] not null,                             -- of each; null: not known
    measured   boolean[] not null,                            -- from readings; false: interpolated, or not known
    primary key (site_id, medium, day)
);
create index balance_days_by_utility on balance_days (utility_id, day);

-- Houses whose readings were judged, and the local days that may change by it. A day is counted when it is over.
create table balance_queue (
    site_id   int not null references sites,
    day       date not null,
    marked_at timestamptz not null default now(),             -- the first time since it was counted
    primary key (site_id, day)
);
