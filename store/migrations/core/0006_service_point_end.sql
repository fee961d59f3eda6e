-- Where delivery ended for good, no meter is missed from then on.

alter table service_points add column ended_at timestamptz;
