-- Who approves needs what the drafter knew, and a close is done when billing has said that it has it.

-- Drafts follow from what is stored: those of an older release are drafted anew.
delete from close_drafts;
delete from draft_blocks;
delete from draft_readings;
delete from draft_exceptions;

alter table close_drafts
    add column starts_at    timestamptz not null,
    add column ends_at      timestamptz not null,
    add column start_offset interval not null,                -- local offset from UTC at starts_at
    add column end_offset   interval not null,
    add column blocks       int,                              -- how many it came to when it was complete
    add column summary      jsonb;                            -- the same counts as in close_events

-- delivered: every billing reading of the close was acknowledged with matching control totals
alter table close_events drop constraint close_events_state_check;
alter table close_events add constraint close_events_state_check
    check (state in ('drafted', 'approved', 'withdrawn', 'delivered'));
create unique index delivered_once on close_events (utility_id, period, run) where state = 'delivered';

create index billing_exceptions_by_period on billing_exceptions (utility_id, period, close_id);

-- When the draft was begun that a close issued: what came later is not in it.
alter table closes add column drafted_at timestamptz default now();
update closes set drafted_at = closed_at;
alter table closes alter column drafted_at set not null;

-- How many times one consumption (micro-units) is the other, up or down, one unit added to both.
create function apart(one bigint, other bigint) returns numeric
    language sql immutable parallel safe
    return round(greatest((abs(one) + 1000000)::numeric / (abs(other) + 1000000),
                          (abs(other) + 1000000)::numeric / (abs(one) + 1000000)), 3);
