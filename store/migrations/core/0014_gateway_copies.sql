-- The epochs of a gateway's buffer as it told them, the present one first. A gateway leaves an epoch for good; one
-- that comes back after another says that two gateways run under one name.
alter table gateways add column epochs text[] not null default '{}';
alter table gateway_hours add column returns int not null default 0;   -- how often that was seen
alter table gateway_hours alter column clock_ahead drop not null;      -- told by what came in that hour only
