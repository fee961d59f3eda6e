-- What tells a gateway from its copy, and a database from its backup.
--
-- The epochs of a gateway's buffer as it told them, the present one first. A gateway leaves an epoch for good; one
-- that comes back after another says that two gateways run under one name.
alter table gateways add column epochs text[] not null default '{}';
alter table gateway_hours add column returns int not null default 0;   -- how often that was seen
alter table gateway_hours alter column clock_ahead drop not null;      -- told by what came in that hour only

-- When something of a gateway was stored last, to some seconds. A gateway that was told of a later time shows that
-- this database was put back from a backup: what it has sent since is asked for again.
create table gateway_stored (
    gateway_id int primary key references gateways,
    utility_id int not null references utilities,
    stored_at  timestamptz not null
) with (fillfactor = 50);
alter table gateway_commands add column since timestamptz;             -- for send-again
