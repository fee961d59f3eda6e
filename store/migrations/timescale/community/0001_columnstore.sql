-- Old chunks as columns: about a tenth of the room. Late readings are still inserted into them, idempotently.
-- A segment is a register, since every query names registers; a chunk is converted once it is a week old,
-- when nearly all late readings have come.

alter table readings set (
    timescaledb.enable_columnstore,
    timescaledb.segmentby = 'register_id',
    timescaledb.orderby = 'measured_at'
);

call add_columnstore_policy('readings', after => interval '7 days');
