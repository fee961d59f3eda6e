-- Expected against received: for each register that has an expected interval and each local day of its utility,
-- which of the readings that were due have arrived. Counted from the readings, so late and repeated ones are right.

create table arrivals (
    register_id int not null references registers,
    utility_id  int not null references utilities,
    day         date not null,                                -- local
    slots       bit varying not null,                         -- a bit for each reading that is due, in order; 1: there
    in_time     int not null,                                 -- how many of them had come by 06:00 of the next day
    primary key (register_id, day)
);
create index arrivals_by_day on arrivals (day);               -- for retention

-- Where readings arrived: blocks of 32 registers by UTC day, counted and removed by the process that validates.
-- Rows are only added, so that a writer never waits for who counts: its note is seen together with its readings.
create table arrival_queue (
    block     int not null,
    day       date not null,
    marked_at timestamptz not null default clock_timestamp()
);
