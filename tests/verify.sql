-- What must hold across all schemas once the fleet is quiet: each row an invariant, how often it is broken, and one example.
select what, broken, example from (
  select 'an order''s total is the sum of its lines and their tax' as what, count(*) as broken, min(o.id::text) as example
  from orders.orders o
  left join (select order_id, sum(price * (qty - cancelled_qty)) as net, sum(price * kept) as kept_net,
                    sum(round(price * kept * tax_rate, 2)) as kept_tax
             from (select *, qty - cancelled_qty - returned_qty as kept from orders.order_items) l group by order_id) i
    on i.order_id = o.id
  -- What came back and what was given up may each take the other's half penny of tax.
  where o.status <> 'draft'
    and (o.total_amount - o.tax_amount, o.total_amount - o.returned_amount, o.tax_amount - o.returned_tax)
        is distinct from (coalesce(i.net, 0), coalesce(i.kept_net + i.kept_tax, 0), coalesce(i.kept_tax, 0))

  union all select 'an order stands as its lines do', count(*), min(o.id::text)
  from orders.orders o
  join (select order_id, sum(qty) as qty, sum(shipped_qty) as shipped, sum(cancelled_qty) as cancelled
        from orders.order_items group by order_id) l on l.order_id = o.id
  where case when o.status in ('draft', 'cancelled') then l.shipped > 0 or l.cancelled > 0
             when l.qty > l.shipped + l.cancelled then o.status <> 'placed' or l.cancelled > 0
             else o.status <> case when o.paid then 'completed' else 'shipped' end or l.shipped = 0 end

  union all select 'an order that was placed has lines', count(*), min(o.id::text)
  from orders.orders o
  where o.placed_at is not null and not exists (select from orders.order_items i where i.order_id = o.id)

  union all select 'reserved is the sum of what open reservations hold', count(*), min(i.sku)
  from inventory.inventory_items i
  left join (select l.sku, sum(l.qty - l.shipped_qty - l.released_qty) as open
             from inventory.reservation_items l join inventory.reservations r using (order_id)
             where r.state in ('held', 'confirmed') group by l.sku) l on l.sku = i.sku
  where i.reserved_qty <> coalesce(l.open, 0)

  union all select 'on hand, and what it is worth, is the sum of all movements', count(*), min(i.sku)
  from inventory.inventory_items i
  left join (select sku, sum(qty) as moved, sum(cost) as cost, count(*) as count, max(sequence) as newest
             from inventory.stock_movements group by sku) m on m.sku = i.sku
  where (i.qty_on_hand, i.value, i.movement_count) is distinct from
        (coalesce(m.moved, 0), coalesce(m.cost, 0), coalesce(m.count, 0)) or m.newest <> m.count

  union all select 'a reservation is as its order is', count(*), min(o.id::text)
  from orders.orders o left join inventory.reservations r on r.order_id = o.id
  where case o.status
    when 'draft' then r.state in ('confirmed', 'shipped')
    when 'placed' then r.state is distinct from 'confirmed'
    when 'cancelled' then r.state in ('held', 'confirmed', 'shipped')
    else r.state is distinct from 'shipped' end

  union all select 'an order that is placed has all its stock', count(*), min(i.order_id::text)
  from (select order_id, sku, sum(qty) as qty, sum(shipped_qty) as shipped, sum(cancelled_qty) as cancelled,
               sum(returned_qty) as returned
        from orders.order_items join orders.orders o on o.id = order_id
        where o.status in ('placed', 'shipped', 'completed') group by order_id, sku) i
  left join inventory.reservation_items r using (order_id, sku)
  where (r.qty, r.shipped_qty, r.released_qty, r.returned_qty)
        is distinct from (i.qty, i.shipped, i.cancelled, i.returned)

  union all select 'what left the house is what orders shipped', count(*), min(coalesce(s.shipment_id, m.ref_id)::text)
  from (select shipment_id, sku, sum(qty) as qty from orders.shipment_items group by shipment_id, sku) s
  full join (select ref_id, sku, qty from inventory.stock_movements where reason = 'shipment') m
    on m.ref_id = s.shipment_id and m.sku = s.sku
  where s.qty is distinct from -m.qty

  union all select 'what came back into the house is what orders took back', count(*), min(coalesce(r.return_id, m.ref_id)::text)
  from (select return_id, sku, sum(qty) as qty, -nullif(sum(qty) filter (where not restock), 0) as scrapped
        from orders.return_items group by return_id, sku) r
  full join (select ref_id, sku, sum(qty) filter (where reason = 'return') as qty,
                    sum(qty) filter (where reason = 'scrapped') as scrapped
             from inventory.stock_movements
             where ref_id in (select ref_id from inventory.stock_movements where reason = 'return')
             group by ref_id, sku) m
    on m.ref_id = r.return_id and m.sku = r.sku
  where (r.qty, r.scrapped) is distinct from (m.qty, m.scrapped)

  union all select 'what came back of an order is the sum of its returns', count(*), min(o.id::text)
  from orders.orders o
  left join (select order_id, sum(amount) as amount, sum(tax_amount) as tax from orders.returns group by order_id) r
    on r.order_id = o.id
  where (o.returned_amount, o.returned_tax) is distinct from (coalesce(r.amount, 0), coalesce(r.tax, 0))
     or (select coalesce(sum(returned_qty), 0) from orders.order_items where order_id = o.id) <>
        (select coalesce(sum(i.qty), 0) from orders.return_items i join orders.returns t on t.id = i.return_id
         where t.order_id = o.id)

  union all select 'an order that was placed has one invoice, others none', count(*), min(coalesce(o.id, v.order_id)::text)
  from (select o.id, total_amount + coalesce(gone.amount, 0) as total_amount, tax_amount + coalesce(gone.tax, 0) as tax_amount
        from orders.orders o
        left join (select payload->>'subject' as id, (payload->'data'->'amount'->>'amount')::numeric as amount,
                          (payload->'data'->'tax'->>'amount')::numeric as tax
                   from orders.events_log where event_type = 'order.part_cancelled') gone on gone.id = o.id::text
        where placed_at is not null) o
  full join (select order_id, count(*) as count, min(amount) as amount, min(tax_amount) as tax_amount
             from billing.invoices group by order_id) v on v.order_id = o.id
  where (v.count, v.amount, v.tax_amount) is distinct from (1, o.total_amount, o.tax_amount)

  union all select 'the invoices of cancelled orders are taken back', count(*), min(o.id::text)
  from orders.orders o join billing.invoices v on v.order_id = o.id
  where o.status = 'cancelled' and v.status <> 'voided' and v.noted_amount + v.absorbed_amount <> v.amount

  union all select 'what was given up or came back of an order is taken off its invoice', count(*), min(v.id::text)
  from billing.invoices v
  left join (select invoice_id, sum(amount) as amount from billing.order_reductions group by invoice_id) r
    on r.invoice_id = v.id
  join orders.orders o on o.id = v.order_id
  where coalesce(r.amount, 0) <> v.amount - o.total_amount + o.returned_amount

  union all select 'an order is paid when its invoice is', count(*), min(o.id::text)
  from orders.orders o join billing.invoices v on v.order_id = o.id
  where v.status <> 'voided' and o.paid <> (v.status = 'paid')

  union all select 'an invoice is the sum of its movements', count(*), min(v.id::text)
  from billing.invoices v
  left join (select invoice_id,
                    sum(amount) filter (where kind = 'invoice') as amount,
                    -sum(amount) filter (where kind in ('payment', 'allocation', 'reversal')) as paid,
                    -sum(amount) filter (where kind in ('void', 'credit_note')) as credited,
                    -sum(amount) filter (where kind = 'write_off') as written_off
             from billing.receivable_movements group by invoice_id) m on m.invoice_id = v.id
  where (v.amount, v.paid_amount, v.credited_amount, v.written_off_amount) is distinct from
        (coalesce(m.amount, 0), coalesce(m.paid, 0), coalesce(m.credited, 0), coalesce(m.written_off, 0))

  union all select 'a payment is what it paid, what of it is credit and what was refunded', count(*), min(p.id::text)
  from billing.payments p
  left join (select payment_id, -sum(amount) as paid from billing.receivable_movements group by payment_id) a
    on a.payment_id = p.id
  left join (select payment_id, sum(amount) as credit, -sum(amount) filter (where kind = 'refund') as refunded
             from billing.credit_movements group by payment_id) c on c.payment_id = p.id
  where p.unallocated <> coalesce(c.credit, 0)
     or case when p.reversed_at is null then p.amount else 0 end <>
        coalesce(a.paid, 0) + p.unallocated + coalesce(c.refunded, 0)

  union all select 'what is left of a credit note is the sum of its movements', count(*), min(n.id::text)
  from billing.credit_notes n
  left join (select credit_note_id, sum(amount) as credit from billing.credit_movements group by credit_note_id) c
    on c.credit_note_id = n.id
  where n.unallocated <> coalesce(c.credit, 0)

  union all select 'what an invoice was credited for is the sum of its credit notes', count(*), min(v.id::text)
  from billing.invoices v
  left join (select invoice_id, sum(amount) as amount, sum(tax_amount) as tax from billing.credit_notes group by invoice_id) n
    on n.invoice_id = v.id
  where (v.noted_amount, v.noted_tax_amount) is distinct from (coalesce(n.amount, 0), coalesce(n.tax, 0))

  union all select 'no number of an invoice or credit note is missing', count(*), min(n.series)
  from billing.number_series n
  where n.next_number - 1 <> case n.series when 'INV' then (select count(*) from billing.invoices)
                                           else (select count(*) from billing.credit_notes) end

  union all select 'each journal balances', count(*), min(journal_id::text)
  from (select journal_id from ledger.ledger_entries group by journal_id having sum(debit) <> sum(credit)) j

  union all select 'each event that moves money has one journal, and no journal is without', count(*), min(coalesce(e.id, j.source_event_id::text))
  from (select payload->>'id' as id from billing.events_log
        where event_type in ('invoice.issued', 'invoice.voided', 'invoice.written_off', 'credit_note.issued',
                             'payment.received', 'payment.reversed', 'credit.allocated', 'refund.issued')
          and (payload->'data'->'amount'->>'amount')::numeric <> 0
        union all select payload->>'id' from inventory.events_log
        where event_type in ('stock.received', 'stock.shipped', 'stock.returned', 'stock.adjusted')
          and (payload->'data'->'cost'->>'amount')::numeric <> 0
        union all select payload->>'id' from hr.events_log
        cross join lateral (select coalesce(payload->'data'->'approved', payload->'data') as pay) d
        where event_type in ('payroll.approved', 'payroll.paid', 'payroll.reversed', 'payroll.repaid')
          and greatest((pay->'gross'->>'amount')::numeric, (pay->'employerNi'->>'amount')::numeric,
                       (pay->'employerPension'->>'amount')::numeric, (pay->'net'->>'amount')::numeric) > 0) e
  full join (select source_event_id from ledger.journals where source <> 'ledger') j on j.source_event_id::text = e.id
  where e.id is null or j.source_event_id is null

  union all select 'a journal that reverses another is its mirror', count(*), min(r.id::text)
  from ledger.journals r
  where r.reverses_journal_id is not null and exists (
    select from (select account, ref_type, ref_id, debit, credit from ledger.ledger_entries where journal_id = r.id) m
    full join (select account, ref_type, ref_id, credit as debit, debit as credit from ledger.ledger_entries
               where journal_id = r.reverses_journal_id) o using (account, ref_type, ref_id, debit, credit)
    where m is null or o is null)

  union all select 'a journal by hand tells of itself', count(*), min(j.id::text)
  from ledger.journals j
  where source = 'ledger' and not exists (
    select from ledger.events_log e where e.event_type = 'journal.posted' and e.payload->>'subject' = j.id::text)

  union all select 'the sums of an account''s days are those of its entries', count(*), min(coalesce(d.account, e.account))
  from ledger.account_days d
  full join (select account, effective_date as day, sum(debit) as debit, sum(credit) as credit
             from ledger.ledger_entries e join ledger.journals j on j.id = e.journal_id group by account, effective_date) e
    on e.account = d.account and e.day = d.day
  where (d.debit, d.credit) is distinct from (e.debit, e.credit)

  union all select 'account 1100 is what open invoices owe', count(*), min(debtors::text)
  from (select coalesce(sum(debit - credit), 0) as debtors from ledger.ledger_entries where account = '1100') l
  where debtors <> (select coalesce(sum(residual), 0) from billing.invoices)

  union all select 'account 1100 is what is owed on each day', count(*), min(coalesce(l.day, m.day)::text)
  from (select coalesce(document_date, effective_date) as day, sum(debit - credit) as amount
        from ledger.ledger_entries e join ledger.journals j on j.id = e.journal_id where account = '1100' group by 1) l
  full join (select effective_date as day, sum(amount) as amount from billing.receivable_movements group by 1) m
    on m.day = l.day
  where coalesce(l.amount, 0) <> coalesce(m.amount, 0)

  union all select 'account 2110 is the credit of customers on each day', count(*), min(coalesce(l.day, m.day)::text)
  from (select coalesce(document_date, effective_date) as day, sum(credit - debit) as amount
        from ledger.ledger_entries e join ledger.journals j on j.id = e.journal_id where account = '2110' group by 1) l
  full join (select effective_date as day, sum(amount) as amount from billing.credit_movements group by 1) m
    on m.day = l.day
  where coalesce(l.amount, 0) <> coalesce(m.amount, 0)

  union all select 'account 1001 is what all stock is worth', count(*), min(stock::text)
  from (select coalesce(sum(debit - credit), 0) as stock from ledger.ledger_entries where account = '1001') l
  where stock <> (select coalesce(sum(value), 0) from inventory.inventory_items)

  union all select 'account 2220 is the net wages that are approved and not paid', count(*), min(wages::text)
  from (select coalesce(sum(credit - debit), 0) as wages from ledger.ledger_entries where account = '2220') l
  where wages <> (select coalesce(sum(net_pence), 0) / 100.0 from hr.payroll_runs
                  where status = 'approved' and kind <> 'reversal')

  union all select 'a payroll run is the sum of its payslips', count(*), min(r.id::text)
  from hr.payroll_runs r
  left join (select payroll_run_id, count(*) as count, sum(gross_pence) as gross, sum(net_pence) as net,
                    sum(employer_ni_pence + employer_pension_pence) as employer
             from hr.payslips group by payroll_run_id) p on p.payroll_run_id = r.id
  where r.status <> 'discarded' and (r.payslip_count, r.gross_pence, r.net_pence, r.employer_ni_pence + r.employer_pension_pence)
        is distinct from (p.count, p.gross, p.net, p.employer)

  union all select 'a payroll run that is taken back and its mirror come to nothing', count(*), min(r.id::text)
  from hr.payroll_runs r left join hr.payroll_runs m on m.reverses_run_id = r.id
  where (r.status = 'reversed' and r.kind <> 'reversal') <> (m.id is not null)
     or r.gross_pence + m.gross_pence <> 0 or r.net_pence + m.net_pence <> 0

  union all select 'a payroll run knows the journals that book it', count(*), min(r.id::text)
  from hr.payroll_runs r
  cross join lateral (values (r.approved_event_id, r.journal_id), (r.paid_event_id, r.payment_journal_id),
                             (r.reversed_event_id, r.reversal_journal_id),
                             (r.repaid_event_id, r.repayment_journal_id)) k (event_id, journal_id)
  left join ledger.journals j on j.source = 'hr' and j.source_event_id = k.event_id
  where k.journal_id is distinct from j.id

  union all select 'an event''s id is unique, and the versions of an aggregate have no holes', count(*), min(subject)
  from (select source, payload->>'subject' as subject
        from (select * from orders.events_log union all select * from inventory.events_log
              union all select * from billing.events_log union all select * from hr.events_log
              union all select * from ledger.events_log) e
        group by source, payload->>'subject'
        having min((payload->>'version')::int) <> 1 or count(*) <> max((payload->>'version')::int)
            or count(*) <> count(distinct payload->>'version') or count(*) <> count(distinct payload->>'id')) v

  union all select 'an aggregate''s version is that of its newest event', count(*), min(a.id)
  from (select 'orders' as source, id::text, version from orders.orders
        union all select 'orders', id::text, version from orders.customers
        -- One that only says that nothing may be reserved any more never had an event.
        union all select 'inventory', order_id::text, version from inventory.reservations r
          where state <> 'released' or exists (select from inventory.reservation_items i where i.order_id = r.order_id)
        union all select 'inventory', sku, version from inventory.products
        union all select 'inventory', 'item:' || sku, version from inventory.inventory_items where version > 0
        union all select 'billing', id::text, version from billing.invoices
        union all select 'billing', id::text, version from billing.payments
        union all select 'hr', id::text, version from hr.employees
        -- A mirror is told of by the run that it takes back.
        union all select 'hr', id::text, version from hr.payroll_runs where kind <> 'reversal') a
  left join (select source, payload->>'subject' as subject, max((payload->>'version')::int) as version
             from (select * from orders.events_log union all select * from inventory.events_log
                   union all select * from billing.events_log union all select * from hr.events_log) e
             group by source, payload->>'subject') e on e.source = a.source and e.subject = a.id
  where e.version is distinct from a.version

  union all select 'consumers have applied all that was published', count(*), min(consumer || ' of ' || source)
  from (select 'orders' as consumer, source, log_id from orders.consumer_positions
        union all select 'inventory', source, log_id from inventory.consumer_positions
        union all select 'billing', source, log_id from billing.consumer_positions
        union all select 'hr', source, log_id from hr.consumer_positions
        union all select 'ledger', source, log_id from ledger.consumer_positions) p
  where p.log_id <> case p.source
    when 'orders' then (select coalesce(max(id), 0) from orders.events_log)
    when 'inventory' then (select coalesce(max(id), 0) from inventory.events_log)
    when 'billing' then (select coalesce(max(id), 0) from billing.events_log)
    when 'hr' then (select coalesce(max(id), 0) from hr.events_log)
    when 'ledger' then (select coalesce(max(id), 0) from ledger.events_log) end

  union all select 'nothing was put aside', count(*), min(error)
  from (select error from orders.dead_letters union all select error from inventory.dead_letters
        union all select error from billing.dead_letters union all select error from ledger.dead_letters
        union all select error from hr.dead_letters) d
) checks
order by broken desc, what
