-- What customers owe and have as credit becomes two subledgers: movements that are dated as their events are, and never change.

-- What is owed on an invoice by the day from which on it counts: above 0 when it is owed, below 0 when it is not any more. Their sum is account 1100.
create table billing.receivable_movements (
  id bigint generated always as identity primary key,
  invoice_id uuid not null constraint receivable_movements_invoice_id_fkey references billing.invoices (id),
  customer_id uuid not null,
  kind varchar(32) not null constraint receivable_movements_kind_check
    check (kind in ('invoice', 'void', 'payment', 'allocation', 'reversal', 'credit_note', 'write_off')),
  -- The invoice (also of 'void' and 'write_off'), the payment (also of 'reversal'), the allocation of credit, or the credit note.
  document_id uuid not null,
  -- Whose money pays: a payment's, or what a credit note gave back.
  payment_id uuid constraint receivable_movements_payment_id_fkey references billing.payments (id),
  credit_note_id uuid constraint receivable_movements_credit_note_id_fkey references billing.credit_notes (id),
  effective_date date not null,
  amount numeric(14, 2) not null constraint receivable_movements_amount_check check (amount <> 0),
  created_at timestamptz not null default now(),
  constraint receivable_movements_source_check
    check (num_nonnulls(payment_id, credit_note_id) = (kind in ('payment', 'allocation', 'reversal'))::int)
);

-- A customer's credit, by what it came of: a payment that left something over, or a credit note for what had been paid. Their sum is account 2110.
create table billing.credit_movements (
  id bigint generated always as identity primary key,
  customer_id uuid not null,
  kind varchar(32) not null constraint credit_movements_kind_check
    check (kind in ('payment', 'credit_note', 'allocation', 'reversal', 'refund')),
  -- The payment (also of 'reversal'), the credit note, the allocation of credit, or the refund.
  document_id uuid not null,
  payment_id uuid constraint credit_movements_payment_id_fkey references billing.payments (id),
  credit_note_id uuid constraint credit_movements_credit_note_id_fkey references billing.credit_notes (id),
  effective_date date not null,
  amount numeric(14, 2) not null constraint credit_movements_amount_check check (amount <> 0),
  created_at timestamptz not null default now(),
  constraint credit_movements_source_check check (num_nonnulls(payment_id, credit_note_id) = 1)
);

-- What has happened so far, in the order and on the days of its events.
with event as materialized (
  select id, event_type, payload->'data' as data from billing.events_log
  where event_type in ('invoice.issued', 'payment.received', 'invoice.voided', 'credit_note.issued')
)
insert into billing.receivable_movements
  (invoice_id, customer_id, kind, document_id, payment_id, effective_date, amount, created_at)
select invoice_id, customer_id, kind, document_id, payment_id, effective_date, amount, created_at
from (
  select i.id as invoice_id, i.customer_id, 'invoice' as kind, i.id as document_id, null::uuid as payment_id,
         coalesce((e.data->>'issueDate')::date, i.issued_at::date) as effective_date, i.amount, i.issued_at as created_at,
         coalesce(e.id, 0) as place
  from billing.invoices i
  left join event e on e.event_type = 'invoice.issued' and (e.data->>'invoiceId')::uuid = i.id
  union all
  select i.id, i.customer_id, 'payment', p.id, p.id, coalesce((e.data->>'receiveDate')::date, p.received_at::date),
         -a.amount, a.allocated_at, coalesce(e.id, 0)
  from billing.payment_allocations a
  join billing.payments p on p.id = a.payment_id
  join billing.invoices i on i.id = a.invoice_id
  left join event e on e.event_type = 'payment.received' and (e.data->>'paymentId')::uuid = p.id
  union all
  select i.id, i.customer_id, 'void', i.id, null, coalesce((e.data->>'voidDate')::date, now()::date), -i.amount,
         now(), coalesce(e.id, 0)
  from billing.invoices i
  left join event e on e.event_type = 'invoice.voided' and (e.data->>'invoiceId')::uuid = i.id
  where i.status = 'voided' and not exists (select from billing.credit_notes n where n.invoice_id = i.id)
  union all
  select i.id, i.customer_id, 'credit_note', n.id, null, coalesce((e.data->>'issueDate')::date, n.issued_at::date),
         n.credited - n.amount, n.issued_at, coalesce(e.id, 0)
  from billing.credit_notes n
  join billing.invoices i on i.id = n.invoice_id
  left join event e on e.event_type = 'credit_note.issued' and (e.data->>'creditNoteId')::uuid = n.id
) m
where amount <> 0 order by place, document_id, invoice_id;

with event as materialized (
  select id, event_type, payload->'data' as data from billing.events_log
  where event_type in ('payment.received', 'credit_note.issued')
)
insert into billing.credit_movements
  (customer_id, kind, document_id, payment_id, credit_note_id, effective_date, amount, created_at)
select customer_id, kind, document_id, payment_id, credit_note_id, effective_date, amount, created_at
from (
  select p.customer_id, 'payment' as kind, p.id as document_id, p.id as payment_id, null::uuid as credit_note_id,
         coalesce((e.data->>'receiveDate')::date, p.received_at::date) as effective_date, p.unallocated as amount,
         p.recorded_at as created_at, coalesce(e.id, 0) as place
  from billing.payments p
  left join event e on e.event_type = 'payment.received' and (e.data->>'paymentId')::uuid = p.id
  union all
  select i.customer_id, 'credit_note', n.id, null, n.id, coalesce((e.data->>'issueDate')::date, n.issued_at::date),
         n.credited, n.issued_at, coalesce(e.id, 0)
  from billing.credit_notes n
  join billing.invoices i on i.id = n.invoice_id
  left join event e on e.event_type = 'credit_note.issued' and (e.data->>'creditNoteId')::uuid = n.id
) m
where amount <> 0 order by place, document_id;

create trigger receivable_movements_append_only before update or delete or truncate on billing.receivable_movements
  for each statement execute function billing.refuse_change();
create trigger credit_movements_append_only before update or delete or truncate on billing.credit_movements
  for each statement execute function billing.refuse_change();

create index receivable_movements_customer_id_effective_date_idx
  on billing.receivable_movements (customer_id, effective_date);
create index receivable_movements_effective_date_idx on billing.receivable_movements (effective_date);
create index receivable_movements_payment_id_idx
  on billing.receivable_movements (payment_id) where payment_id is not null;
create index receivable_movements_allocation_idx
  on billing.receivable_movements (document_id) where kind = 'allocation';
create index credit_movements_customer_id_effective_date_idx on billing.credit_movements (customer_id, effective_date);
create index credit_movements_refund_idx on billing.credit_movements (payment_id) where kind = 'refund';

-- The movements say what each payment paid.
drop table billing.payment_allocations;

alter table billing.invoices
  -- Not owed any more without having been paid: voided, or taken back by credit notes.
  add column credited_amount numeric(14, 2) not null default 0,
  add column written_off_amount numeric(14, 2) not null default 0,
  -- What credit notes took back in all: of what was owed, and of what had been paid.
  add column noted_amount numeric(14, 2) not null default 0,
  add column noted_tax_amount numeric(14, 2) not null default 0,
  -- What was given up or came back of what had been written off: nobody owes it, and nobody gets it back.
  add column absorbed_amount numeric(14, 2) not null default 0,
  add column close_reason varchar(500) not null default '',
  drop constraint invoices_status_check,
  drop constraint invoices_status_paid_amount_check;
update billing.invoices set credited_amount = amount - paid_amount where status = 'voided';
update billing.invoices i set noted_amount = n.amount, noted_tax_amount = n.tax_amount
from billing.credit_notes n where n.invoice_id = i.id;
alter table billing.invoices
  add column residual numeric(14, 2) not null
    generated always as (amount - paid_amount - credited_amount - written_off_amount) stored,
  add constraint invoices_status_check check (status in ('issued', 'paid', 'overdue', 'voided', 'written_off')),
  add constraint invoices_residual_check
    check (residual >= 0 and credited_amount >= 0 and written_off_amount >= 0),
  -- Open as long as something is owed.
  add constraint invoices_status_residual_check check ((status in ('issued', 'overdue')) = (residual > 0)),
  add constraint invoices_noted_amount_check check (noted_amount >= 0 and noted_amount + absorbed_amount <= amount),
  add constraint invoices_noted_tax_amount_check check (
    noted_tax_amount between 0 and tax_amount and noted_amount - noted_tax_amount between 0 and amount - tax_amount),
  add constraint invoices_absorbed_amount_check check (absorbed_amount between 0 and written_off_amount);
create index invoices_customer_id_id_idx on billing.invoices (customer_id, id);
create index invoices_status_id_idx on billing.invoices (status, id);
create index invoices_due_date_id_idx on billing.invoices (due_date, id);
create index invoices_open_idx on billing.invoices (customer_id, due_date, id) where residual > 0;
create index invoices_open_id_idx on billing.invoices (id) where residual > 0;
drop index billing.invoices_customer_id_due_date_idx;

alter table billing.payments
  add column version integer not null default 1,
  add column reversed_at timestamptz,
  add column reversal_reason varchar(500) not null default '',
  -- The order that the payer named. When its invoice is issued later, what is left of the payment pays it.
  add column named_order_id uuid,
  add constraint payments_named_check check (num_nonnulls(named_invoice_id, named_order_id) <= 1),
  drop constraint payments_unallocated_check,
  -- Below 0 when it was reversed after some of it had been refunded.
  add constraint payments_unallocated_check check (
    case when reversed_at is null then unallocated between 0 and amount else unallocated between -amount and 0 end);
create index payments_customer_id_id_idx on billing.payments (customer_id, id);
create index payments_unallocated_idx on billing.payments (customer_id, id) where unallocated <> 0;
create index payments_unallocated_id_idx on billing.payments (id) where unallocated <> 0;
create index payments_named_order_id_idx
  on billing.payments (named_order_id) where named_order_id is not null and unallocated > 0;

alter table billing.credit_notes
  add column customer_id uuid,
  -- What of `credited` is still the customer's credit.
  add column unallocated numeric(14, 2) not null default 0,
  add column reason varchar(500) not null default '',
  drop constraint credit_notes_invoice_id_key,
  drop constraint credit_notes_credited_check;
update billing.credit_notes n set customer_id = i.customer_id, unallocated = n.credited
from billing.invoices i where i.id = n.invoice_id;
alter table billing.credit_notes
  alter column customer_id set not null,
  add constraint credit_notes_credited_check check (credited between 0 and amount),
  add constraint credit_notes_unallocated_check check (unallocated between 0 and credited);
create index credit_notes_invoice_id_id_idx on billing.credit_notes (invoice_id, id);
create index credit_notes_customer_id_id_idx on billing.credit_notes (customer_id, id);
create index credit_notes_unallocated_idx on billing.credit_notes (customer_id, id) where unallocated > 0;

create table billing.refunds (
  id uuid primary key,
  customer_id uuid not null,
  external_reference varchar(64) not null,
  amount numeric(14, 2) not null constraint refunds_amount_check check (amount > 0),
  refunded_at timestamptz not null default now(),
  constraint refunds_customer_id_external_reference_key unique (customer_id, external_reference)
);
create index refunds_customer_id_id_idx on billing.refunds (customer_id, id);

-- What was given up of an order, or came back: by the key of the return, or of the order of which a part was cancelled. Each counts once.
create table billing.order_reductions (
  id uuid primary key,
  invoice_id uuid not null constraint order_reductions_invoice_id_fkey references billing.invoices (id),
  amount numeric(14, 2) not null,
  recorded_at timestamptz not null default now()
);

-- A customer as far as billing knows. Whoever uses, takes back or refunds a customer's credit locks the row first.
create table billing.customer_accounts (
  customer_id uuid primary key,
  -- Null for the deployment's.
  terms_days integer constraint customer_accounts_terms_days_check check (terms_days between 0 and 365),
  -- Of the terms' events; 0 before the first.
  version integer not null default 0
);
