//! What must hold whatever has happened: the subledgers, the documents and the events say the same, each day and to the penny.

use sqlx::PgPool;

/// Each row is something that is off.
const OFF: &str = "
  -- Documents are the sums of their movements.
  select 'payment ' || p.id as what from billing.payments p
  left join (select payment_id, -sum(amount) as paid from billing.receivable_movements group by 1) m on m.payment_id = p.id
  left join (select payment_id, sum(amount) as left, -sum(amount) filter (where kind = 'refund') as refunded
             from billing.credit_movements group by 1) c on c.payment_id = p.id
  where p.unallocated <> coalesce(c.left, 0)
     or case when p.reversed_at is null then p.amount else 0 end
        <> coalesce(m.paid, 0) + p.unallocated + coalesce(c.refunded, 0)
     or p.version <> case when p.reversed_at is null then 1 else 2 end
  union all
  select 'invoice ' || i.id from billing.invoices i
  left join (select invoice_id, sum(amount) as residual,
                    -sum(amount) filter (where kind in ('payment', 'allocation', 'reversal')) as paid,
                    -sum(amount) filter (where kind in ('void', 'credit_note')) as credited,
                    -sum(amount) filter (where kind = 'write_off') as written_off,
                    count(distinct customer_id) as customers, min(customer_id::text) as customer
             from billing.receivable_movements group by 1) m on m.invoice_id = i.id
  where (i.residual, i.paid_amount, i.credited_amount, i.written_off_amount)
        <> (coalesce(m.residual, 0), coalesce(m.paid, 0), coalesce(m.credited, 0), coalesce(m.written_off, 0))
     or i.amount > 0 and (m.customers, m.customer) is distinct from (1, i.customer_id::text)
  union all
  select 'credit notes of ' || i.id from billing.invoices i
  left join (select invoice_id, sum(amount) as amount, sum(tax_amount) as tax from billing.credit_notes group by 1) n
    on n.invoice_id = i.id
  where (i.noted_amount, i.noted_tax_amount) <> (coalesce(n.amount, 0), coalesce(n.tax, 0))
  union all
  select 'credit note ' || n.id from billing.credit_notes n
  where n.unallocated <> (select coalesce(sum(amount), 0) from billing.credit_movements where credit_note_id = n.id)
     or n.credited <> (select coalesce(sum(amount), 0) from billing.credit_movements
                       where kind = 'credit_note' and document_id = n.id)
     or n.credited - n.amount <> (select coalesce(sum(amount), 0) from billing.receivable_movements
                                  where kind = 'credit_note' and document_id = n.id)
  union all
  select 'refund ' || r.id from billing.refunds r
  where -r.amount <> (select coalesce(sum(amount), 0) from billing.credit_movements
                      where kind = 'refund' and document_id = r.id)
  union all
  -- A customer's credit is below 0 at most by what was refunded of payments that bounced.
  select 'credit of ' || c.customer_id from billing.credit_movements c group by c.customer_id
  having sum(c.amount) < (select coalesce(sum(least(unallocated, 0)), 0) from billing.payments p
                          where p.customer_id = c.customer_id)
  union all
  -- What the ledger books of the events is what moved, account by account and day by day.
  select account || ' on ' || day from (
    select account, day, sum(amount) as amount from (
      select account, day::date as day, amount from told
      union all
      select '1100', effective_date, -amount from billing.receivable_movements
      union all
      select '2110', effective_date, -amount from billing.credit_movements
    ) both_sides group by account, day
  ) off where amount <> 0
  union all
  -- A payment, its reversal and an allocation are told with all of their parts.
  select event_type || ' ' || subject from parts
  where amount <> shared + case event_type when 'credit.allocated' then 0 else unallocated end
  union all
  -- Whoever knows the events only knows what is owed.
  select 'residual of ' || i.id from billing.invoices i
  left join (select distinct on (invoice_id) invoice_id, residual from residuals order by invoice_id, id desc, place desc) r
    on r.invoice_id = i.id::text
  where i.residual is distinct from r.residual
  union all
  select 'version ' || a.id from (
    select id::text, version from billing.invoices
    union all select id::text, version from billing.payments
    union all select customer_id::text, version from billing.customer_accounts where version > 0
  ) a
  where a.version <> (select count(*) from event e where e.subject = a.id)
     or a.version <> (select max(e.version) from event e where e.subject = a.id)
  union all
  select 'numbers of ' || series from billing.number_series
  where next_number - 1 <> case series when 'INV' then (select count(*) from billing.invoices)
                                       else (select count(*) from billing.credit_notes) end";

/// The events as the ledger and whoever counts what is owed read them.
const TOLD: &str = "
  with event as materialized (
    select id, event_type, payload->>'subject' as subject, (payload->>'version')::int as version, payload->'data' as data
    from billing.events_log
  ), parts as materialized (
    select id, event_type, subject, data, (data->'amount'->>'amount')::numeric as amount,
           coalesce((data->'unallocated'->>'amount')::numeric, 0) as unallocated,
           coalesce((select sum((part->'amount'->>'amount')::numeric)
                     from jsonb_array_elements(coalesce(data->'allocations', '[]')) part), 0) as shared
    from event where event_type in ('payment.received', 'payment.reversed', 'credit.allocated')
  ), told as (
    select '1100' as account, data->>'issueDate' as day, (data->'amount'->>'amount')::numeric as amount
    from event where event_type = 'invoice.issued'
    union all select '1100', data->>'voidDate', -(data->'amount'->>'amount')::numeric
    from event where event_type = 'invoice.voided'
    union all select '1100', data->>'writeOffDate', -(data->'amount'->>'amount')::numeric
    from event where event_type = 'invoice.written_off'
    union all select '1100', data->>'issueDate', -(data->'residual'->>'amount')::numeric
    from event where event_type = 'credit_note.issued'
    union all
    select '2110', data->>'issueDate', (data->'amount'->>'amount')::numeric - (data->'residual'->>'amount')::numeric
    from event where event_type = 'credit_note.issued'
    union all select '2110', data->>'refundDate', -(data->'amount'->>'amount')::numeric
    from event where event_type = 'refund.issued'
    union all select '1100', data->>'receiveDate', -shared from parts where event_type = 'payment.received'
    union all select '2110', data->>'receiveDate', unallocated from parts where event_type = 'payment.received'
    union all select '1100', data->>'reverseDate', shared from parts where event_type = 'payment.reversed'
    union all select '2110', data->>'reverseDate', -unallocated from parts where event_type = 'payment.reversed'
    union all select '1100', data->>'allocateDate', -shared from parts where event_type = 'credit.allocated'
    union all select '2110', data->>'allocateDate', -amount from parts where event_type = 'credit.allocated'
  ), residuals as (
    select id, 0 as place, subject as invoice_id, (data->'amount'->>'amount')::numeric as residual
    from event where event_type = 'invoice.issued'
    union all select id, 0, subject, 0
    from event where event_type in ('invoice.paid', 'invoice.voided', 'invoice.written_off')
    union all select id, 0, subject, (data->'residual'->>'amount')::numeric
    from event where event_type = 'invoice.reopened'
    union all select id, 0, subject, coalesce((data->'invoiceResidual'->>'amount')::numeric, 0)
    from event where event_type = 'credit_note.issued'
    union all select id, 1, part->>'invoiceId', (part->'residual'->>'amount')::numeric
    from parts, jsonb_array_elements(coalesce(data->'allocations', '[]')) part
  )";

/// Panics unless all of it holds.
pub(crate) async fn check(db: &PgPool) {
    let statement = sqlx::AssertSqlSafe(format!("{TOLD} {OFF}"));
    let off: Vec<String> = sqlx::query_scalar(statement).fetch_all(db).await.unwrap();
    assert!(off.is_empty(), "the books do not balance: {off:?}");
}
