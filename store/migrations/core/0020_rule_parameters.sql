-- What a utility wants of validation's rules where it differs from what is built in, from which day on. The
-- latest row of a scope, name and day counts; nothing is altered, so what held when stays to be seen.

create table rule_parameters (
    id         bigint generated always as identity primary key,
    utility_id int not null references utilities,
    medium     smallint,                                      -- OBIS value group A; null: every medium
    obis       text,                                          -- one kind of register; null: every register
    name       text not null,                                 -- leak.days; leak: the rule as a whole
    value      text not null,                                 -- a figure; on, off; default: as built in
    valid_from date not null,                                 -- local day, included
    author     text not null,
    reason     text not null,
    set_at     timestamptz not null default now(),
    check (medium is null or obis is null)                    -- an OBIS code names its medium
);
create index rule_parameters_by_utility on rule_parameters (utility_id, id);
create trigger append_only before update or delete on rule_parameters
    for each row execute function refuse_change();

-- What is stored is judged anew, by all the rules that came with this version.
insert into validation_queue (block, day)
select distinct id / 32, current_date from registers
on conflict (block, day) do nothing;
