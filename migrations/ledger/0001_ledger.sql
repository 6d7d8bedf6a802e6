create table ledger.accounts (
  code varchar(64) primary key,
  name varchar(255) not null,
  type varchar(16) not null
    constraint accounts_type_check check (type in ('asset', 'liability', 'equity', 'income', 'expense'))
);

insert into ledger.accounts (code, name, type) values
  ('1001', 'Stock', 'asset'),
  ('1100', 'Debtors', 'asset'),
  ('1200', 'Bank', 'asset'),
  ('2109', 'Goods received not invoiced', 'liability'),
  ('2110', 'Customer credit', 'liability'),
  ('2200', 'Sales tax', 'liability'),
  ('2210', 'PAYE', 'liability'),
  ('2211', 'National Insurance', 'liability'),
  ('2220', 'Net wages', 'liability'),
  ('2230', 'Pension', 'liability'),
  ('3200', 'Retained earnings', 'equity'),
  ('4000', 'Sales', 'income'),
  ('4090', 'Sales returns', 'income'),
  ('5000', 'Cost of sales', 'expense'),
  ('5210', 'Stock loss', 'expense'),
  ('7000', 'Gross wages', 'expense'),
  ('7006', 'Employer National Insurance', 'expense'),
  ('7007', 'Employer pension', 'expense'),
  ('8100', 'Bad debt', 'expense'),
  ('9998', 'Suspense', 'asset');

-- One for each event that has to be booked. Append-only.
create table ledger.journals (
  id uuid primary key,
  source varchar(64) not null,
  source_event_id uuid not null constraint journals_source_event_id_key unique,
  event_type varchar(64) not null,
  ref_type varchar(32) not null constraint journals_ref_type_check check (ref_type in ('order', 'invoice', 'payroll')),
  ref_id uuid not null,
  effective_date date not null,
  posted_at timestamptz not null default now()
);
create index journals_effective_date_idx on ledger.journals (effective_date);

create table ledger.ledger_entries (
  id uuid primary key,
  account varchar(64) not null constraint ledger_entries_account_fkey references ledger.accounts (code),
  debit numeric(14, 2) not null default 0,
  credit numeric(14, 2) not null default 0,
  ref_type varchar(32) not null constraint ledger_entries_ref_type_check check (ref_type in ('order', 'invoice', 'payroll')),
  ref_id uuid not null,
  created_at timestamptz not null default now(),
  journal_id uuid not null constraint ledger_entries_journal_id_fkey references ledger.journals (id),
  -- One side only, and more than nothing.
  constraint ledger_entries_debit_credit_check check (debit >= 0 and credit >= 0 and (debit = 0) <> (credit = 0))
);
create index idx_ledger_account on ledger.ledger_entries (account);
create index idx_ledger_ref on ledger.ledger_entries (ref_type, ref_id);
create index ledger_entries_journal_id_idx on ledger.ledger_entries (journal_id);

create trigger journals_append_only before update or delete or truncate on ledger.journals
  for each statement execute function ledger.refuse_change();
create trigger ledger_entries_append_only before update or delete or truncate on ledger.ledger_entries
  for each statement execute function ledger.refuse_change();

create function ledger.refuse_unbalanced() returns trigger language plpgsql as $$
begin
  if (select count(*) < 2 or sum(debit) <> sum(credit) from ledger.ledger_entries where journal_id = new.journal_id) then
    raise exception 'journal % does not balance', new.journal_id
      using errcode = 'check_violation', constraint = 'ledger_entries_balance_check';
  end if;
  -- Both are the time of a transaction: what joins a journal later would change what was booked, even if it balances.
  if (select posted_at <> new.created_at from ledger.journals where id = new.journal_id) then
    raise exception 'journal % was posted before', new.journal_id
      using errcode = 'check_violation', constraint = 'ledger_entries_journal_check';
  end if;
  return null;
end $$;

create constraint trigger ledger_entries_balance_check after insert on ledger.ledger_entries
  deferrable initially deferred for each row execute function ledger.refuse_unbalanced();

-- A journal without entries would pass the check above.
create function ledger.refuse_empty() returns trigger language plpgsql as $$
begin
  if not exists (select from ledger.ledger_entries where journal_id = new.id) then
    raise exception 'journal % has no entries', new.id
      using errcode = 'check_violation', constraint = 'journals_entries_check';
  end if;
  return null;
end $$;

create constraint trigger journals_entries_check after insert on ledger.journals
  deferrable initially deferred for each row execute function ledger.refuse_empty();
