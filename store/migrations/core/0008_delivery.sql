-- What leaves: where a utility's billing readings are pushed to, the outbox that a close fills as it commits, and what
-- billing systems say that they have.

create table destinations (
    id              int generated always as identity primary key,
    utility_id      int not null references utilities,
    url             text not null,
    allow_private   boolean not null default false,           -- the operator says that it may be an address of their own
    secret          text not null,                            -- whsec_...: signs, so it cannot be kept as a hash
    previous_secret text,                                     -- signs too, until previous_until
    previous_until  timestamptz,
    resting_until   timestamptz,                              -- it failed: nothing is sent to it before
    author          text not null,
    created_at      timestamptz not null default now(),
    removed_at      timestamptz                               -- kept, for what was sent there
);
create unique index one_destination_per_url on destinations (utility_id, url) where removed_at is null;

-- Whoever changes the secret need not be able to read it.
create function keep_previous_secret() returns trigger language plpgsql as $$
begin
    new.previous_secret := old.secret;
    return new;
end $$;
create trigger keep_previous_secret before update of secret on destinations
    for each row execute function keep_previous_secret();

-- One message: some billing readings of one close for one destination.
create table outbox (
    id              bigint generated always as identity primary key,
    message_id      uuid not null unique default gen_random_uuid(),  -- webhook-id, the same at every attempt
    utility_id      int not null references utilities,
    destination_id  int not null references destinations,
    close_id        bigint not null references closes,
    period          text not null,
    first_reading   bigint not null,                          -- billing_readings.id, of those of the close
    last_reading    bigint not null check (last_reading >= first_reading),
    readings        int not null check (readings > 0),
    state           text not null default 'waiting' check (state in ('waiting', 'delivered', 'acknowledged', 'dead')),
    attempts        int not null default 0,
    due_at          timestamptz not null default now(),
    created_at      timestamptz not null default now(),
    delivered_at    timestamptz,                              -- the destination answered that it has it
    acknowledged_at timestamptz,                              -- the billing system counted and summed it
    last_error      text,
    unique (destination_id, close_id, first_reading)
);
create index outbox_due on outbox (due_at, id) where state = 'waiting';
create index outbox_of_close on outbox (close_id, first_reading);
create index outbox_by_utility on outbox (utility_id, id);

-- What a billing system said of a message: its own count and sums, and whether they are ours.
create table delivery_acknowledgements (
    id         bigint generated always as identity primary key,
    utility_id int not null references utilities,
    outbox_id  bigint not null references outbox,
    api_key_id int not null references api_keys,
    readings   int not null,
    totals     jsonb not null,                                -- {"8-0:1.0.0 m3": "123.456"} as the billing system says
    accepted   boolean not null,
    at         timestamptz not null default now()
);
create index delivery_acknowledgements_of on delivery_acknowledgements (outbox_id, id);

-- What a billing system said it has taken: everything of a period up to a cursor, with control totals.
create table billing_acknowledgements (
    id         bigint generated always as identity primary key,
    utility_id int not null references utilities,
    api_key_id int not null references api_keys,
    period     text not null,
    cursor     bigint not null,                               -- highest billing_readings.id taken
    readings   int not null,                                  -- how many it took in all
    totals     jsonb not null,                                -- {"8-0:1.0.0 m3": "123.456"} as the billing system says
    at         timestamptz not null default now()
);
