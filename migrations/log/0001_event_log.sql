-- Run once in each schema (search_path names it): what every service needs to publish, to listen, and to answer a request once.

-- Append-only: the audit trail and the outbox in one. An id is drawn after its transaction has an xid, and the sequence caches
-- nothing: the relay's proof that a gap is dead rests on both.
create table events_log (
  id bigserial primary key,
  event_type varchar(64) not null,
  source varchar(64) not null,
  payload jsonb not null,
  recorded_at timestamptz not null default now()
);
create index idx_events_type on events_log (event_type);
create index idx_events_rec on events_log (recorded_at desc);

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '%.% is append-only', tg_table_schema, tg_table_name using errcode = 'restrict_violation';
end $$;

create trigger events_log_append_only before update or delete or truncate on events_log
  for each statement execute function refuse_change();

-- How far this service has applied another's events; written in the transaction of their effect.
create table consumer_positions (
  source varchar(64) primary key,
  stream_sequence bigint not null,
  log_id bigint not null,
  event_id uuid not null,
  updated_at timestamptz not null default now()
);

-- Events that could not be applied, and those parked behind them: an aggregate with a row here waits.
create table dead_letters (
  id uuid primary key,
  source varchar(64) not null,
  log_id bigint not null,
  subject varchar(128) not null,
  event_type varchar(64) not null,
  payload jsonb not null,
  error text not null,
  created_at timestamptz not null default now(),
  constraint dead_letters_source_log_id_key unique (source, log_id)
);
create index dead_letters_source_subject_idx on dead_letters (source, subject);

-- Requests that were answered with success: the same one again has no second effect.
create table requests (
  request_id uuid primary key,
  method varchar(64) not null,
  payload_hash bytea not null,
  resource_id varchar(64) not null,
  created_at timestamptz not null default now()
);
