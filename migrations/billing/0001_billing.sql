create table billing.invoices (
  id uuid primary key,
  order_id uuid not null,
  amount numeric(14, 2) not null constraint invoices_amount_check check (amount >= 0),
  status varchar(32) not null
    constraint invoices_status_check check (status in ('issued', 'paid', 'overdue', 'voided')),
  issued_at timestamptz not null,
  due_date date not null,
  paid_at timestamptz,
  number varchar(32) not null constraint invoices_number_key unique,
  customer_id uuid not null,
  tax_amount numeric(14, 2) not null default 0,
  paid_amount numeric(14, 2) not null default 0,
  version integer not null default 1,
  constraint invoices_tax_amount_check check (tax_amount between 0 and amount),
  constraint invoices_paid_amount_check check (paid_amount between 0 and amount),
  -- One that is voided keeps what had been paid of it, and when.
  constraint invoices_paid_at_check check (status = 'voided' or (status = 'paid') = (paid_at is not null)),
  constraint invoices_status_paid_amount_check
    check (status = 'voided' or (status = 'paid') = (paid_amount = amount))
);
create index idx_invoices_status on billing.invoices (status);
-- Unique: one invoice an order, however often its event comes.
create unique index idx_invoices_order on billing.invoices (order_id);
create index invoices_customer_id_due_date_idx on billing.invoices (customer_id, due_date);
create index invoices_due_date_idx on billing.invoices (due_date) where status = 'issued';

create table billing.payments (
  id uuid primary key,
  customer_id uuid not null,
  external_reference varchar(64) not null,
  amount numeric(14, 2) not null constraint payments_amount_check check (amount > 0),
  -- The customer's credit that came of it.
  unallocated numeric(14, 2) not null,
  -- The invoice that the payer named, whether or not it could take the money.
  named_invoice_id uuid,
  received_at timestamptz not null,
  recorded_at timestamptz not null default now(),
  constraint payments_customer_id_external_reference_key unique (customer_id, external_reference),
  constraint payments_unallocated_check check (unallocated between 0 and amount)
);

-- What happened, for ever: when an invoice is taken back, its credit note says what became of the money.
create table billing.payment_allocations (
  payment_id uuid not null constraint payment_allocations_payment_id_fkey references billing.payments (id),
  invoice_id uuid not null constraint payment_allocations_invoice_id_fkey references billing.invoices (id),
  amount numeric(14, 2) not null constraint payment_allocations_amount_check check (amount > 0),
  allocated_at timestamptz not null default now(),
  primary key (payment_id, invoice_id)
);
create index payment_allocations_invoice_id_idx on billing.payment_allocations (invoice_id);

create table billing.credit_notes (
  id uuid primary key,
  number varchar(32) not null constraint credit_notes_number_key unique,
  invoice_id uuid not null
    constraint credit_notes_invoice_id_key unique
    constraint credit_notes_invoice_id_fkey references billing.invoices (id),
  amount numeric(14, 2) not null constraint credit_notes_amount_check check (amount > 0),
  tax_amount numeric(14, 2) not null default 0,
  -- The part that had been paid: the customer's credit now.
  credited numeric(14, 2) not null,
  issued_at timestamptz not null default now(),
  constraint credit_notes_tax_amount_check check (tax_amount between 0 and amount),
  -- Had nothing been paid, the invoice would have been voided.
  constraint credit_notes_credited_check check (credited > 0 and credited <= amount)
);

-- The next number of each series, taken in the transaction of the document: one that is undone gives its numbers back.
create table billing.number_series (
  series varchar(8) primary key,
  next_number bigint not null
);
insert into billing.number_series (series, next_number) values ('INV', 1), ('CRN', 1);
