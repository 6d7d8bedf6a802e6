-- Accounts that sum up what another service keeps are posted on by events only; others can be locked against posting by hand.
alter table ledger.accounts
  add column control boolean not null default false,
  add column locked boolean not null default false,
  add column version integer not null default 1,
  add column created_at timestamptz not null default now(),
  add constraint accounts_control_locked_check check (not (control and locked));

-- Not 2109: no service keeps suppliers' bills, so paying one is a journal by hand.
update ledger.accounts set control = true where code in ('1001', '1100', '2110', '2220');

-- Where a journal comes from, as far as its event says so; what was posted before knows its event only. A journal that is posted by hand
-- has the source 'ledger' and books its own `journal.posted`.
alter table ledger.journals
  -- The document's own day, when that was closed already.
  add column document_date date,
  add column description varchar(500),
  add column reverses_journal_id uuid
    constraint journals_reverses_journal_id_fkey references ledger.journals (id),
  add column event_time timestamptz,
  add column source_sequence bigint,
  add column causation_id uuid,
  add column request_id uuid,
  add column actor text,
  add column traceparent text,
  add constraint journals_document_date_check check (document_date < effective_date),
  add constraint journals_source_check check (source = 'ledger' or (description is null and reverses_journal_id is null)),
  drop constraint journals_ref_type_check,
  add constraint journals_ref_type_check
    check (ref_type in ('order', 'invoice', 'payroll', 'payment', 'stock', 'journal'));
alter table ledger.ledger_entries
  drop constraint ledger_entries_ref_type_check,
  add constraint ledger_entries_ref_type_check
    check (ref_type in ('order', 'invoice', 'payroll', 'payment', 'stock', 'journal'));

-- A journal is reversed once.
create unique index journals_reverses_journal_id_key on ledger.journals (reverses_journal_id)
  where reverses_journal_id is not null;
create index journals_source_effective_date_id_idx on ledger.journals (source, effective_date, id);
-- What a request has posted.
create index journals_request_id_idx on ledger.journals (request_id) where source = 'ledger';

-- Months that were closed once. All up to the last closed one are closed: the ones without a row have no journal.
create table ledger.periods (
  month date primary key constraint periods_month_check check (extract(day from month) = 1),
  state varchar(16) not null constraint periods_state_check check (state in ('open', 'closed')),
  version integer not null,
  changed_at timestamptz not null,
  changed_by text not null
);

-- Holds the periods as they are until the transaction ends, or, to change them, alone; gives the last closed month. Whoever posts and
-- whoever closes meet here, so no journal is on its way into a month that is closed meanwhile. The number is 'ledger' in ASCII.
create function ledger.hold_periods(to_change boolean) returns date language plpgsql as $$
begin
  if to_change then
    perform pg_advisory_xact_lock(119182731994482);
  else
    perform pg_advisory_xact_lock_shared(119182731994482);
  end if;
  -- A statement of its own: it sees what was committed while the one above waited.
  return (select max(month) from ledger.periods where state = 'closed');
end $$;

create function ledger.hold_periods_to_change() returns trigger language plpgsql as $$
begin
  perform ledger.hold_periods(true);
  return null;
end $$;

create trigger periods_hold before insert or update or delete on ledger.periods
  for each statement execute function ledger.hold_periods_to_change();

create function ledger.refuse_closed() returns trigger language plpgsql as $$
declare
  closed_through date := ledger.hold_periods(false);
begin
  if exists (select from added where effective_date < closed_through + interval '1 month') then
    raise exception 'the books are closed through %', to_char(closed_through, 'YYYY-MM')
      using errcode = 'check_violation', constraint = 'journals_effective_date_check';
  end if;
  return null;
end $$;

create trigger journals_effective_date_check after insert on ledger.journals
  referencing new table as added for each statement execute function ledger.refuse_closed();

-- Sums of the entries by account and day: balances are read of these, not of all entries. They follow from the entries, by the trigger
-- below and by nothing else.
create table ledger.account_days (
  account varchar(64) not null constraint account_days_account_fkey references ledger.accounts (code),
  day date not null,
  debit numeric(20, 2) not null,
  credit numeric(20, 2) not null,
  primary key (account, day)
) with (fillfactor = 70);

create function ledger.add_to_days() returns trigger language plpgsql as $$
begin
  -- In the order of the key, so that two who post never wait for each other.
  insert into ledger.account_days as d (account, day, debit, credit)
  select e.account, j.effective_date, sum(e.debit), sum(e.credit)
  from added e join ledger.journals j on j.id = e.journal_id
  group by e.account, j.effective_date order by e.account, j.effective_date
  on conflict (account, day) do update set debit = d.debit + excluded.debit, credit = d.credit + excluded.credit;
  return null;
end $$;

create trigger ledger_entries_days after insert on ledger.ledger_entries
  referencing new table as added for each statement execute function ledger.add_to_days();

insert into ledger.account_days (account, day, debit, credit)
select e.account, j.effective_date, sum(e.debit), sum(e.credit)
from ledger.ledger_entries e join ledger.journals j on j.id = e.journal_id
group by e.account, j.effective_date;

create function ledger.refuse_direct_change() returns trigger language plpgsql as $$
begin
  if pg_trigger_depth() < 2 then
    raise exception '%.% follows from the entries', tg_table_schema, tg_table_name using errcode = 'restrict_violation';
  end if;
  return null;
end $$;

create trigger account_days_derived before insert or update or delete or truncate on ledger.account_days
  for each statement execute function ledger.refuse_direct_change();

-- All lines of a journal come by one statement, which balances them: what a journal costs to check grows with its lines, not with their
-- square, and is part of the statement's own time. What comes later finds lines there.
drop trigger ledger_entries_balance_check on ledger.ledger_entries;
drop function ledger.refuse_unbalanced();

create function ledger.refuse_unbalanced() returns trigger language plpgsql as $$
declare
  journal uuid;
begin
  select a.journal_id into journal
  from (select journal_id, count(*) as count from added group by journal_id) a
  where a.count <> (select count(*) from ledger.ledger_entries e where e.journal_id = a.journal_id) limit 1;
  if found then
    raise exception 'journal % has its entries', journal
      using errcode = 'check_violation', constraint = 'ledger_entries_journal_check';
  end if;
  select journal_id into journal
  from added group by journal_id having count(*) < 2 or sum(debit) <> sum(credit) limit 1;
  if found then
    raise exception 'journal % does not balance', journal
      using errcode = 'check_violation', constraint = 'ledger_entries_balance_check';
  end if;
  return null;
end $$;

create trigger ledger_entries_balance_check after insert on ledger.ledger_entries
  referencing new table as added for each statement execute function ledger.refuse_unbalanced();
