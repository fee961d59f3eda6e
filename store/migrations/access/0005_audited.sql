-- What else changes bills shows in the audit log (core/0050): approvals, rules, and what norms are multiplied by.

do $$
declare
    place regclass;
begin
    foreach place in array array['close_events', 'billing_rules', 'rule_parameters',
                               'service_point_coefficients']::regclass[] loop
        execute format('drop trigger if exists audited on %s', place);
        execute format('create constraint trigger audited after insert on %s
                            deferrable initially deferred for each row execute function audit_change()', place);
    end loop;
end $$;
