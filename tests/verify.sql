-- What must hold across all schemas once the fleet is quiet: each row an invariant, how often it is broken, and one example.
select what, broken, example from (
  select 'an order''s total is the sum of its lines and their tax' as what, count(*) as broken, min(o.id::text) as example
  from orders.orders o
  left join (select order_id, sum(round(qty * price, 2)) as net, sum(round(round(qty * price, 2) * tax_rate, 2)) as tax
             from orders.order_items group by order_id) i on i.order_id = o.id
  where o.status <> 'draft' and (o.total_amount <> coalesce(i.net + i.tax, 0) or o.tax_amount <> coalesce(i.tax, 0))

  union all select 'an order that was placed has lines', count(*), min(o.id::text)
  from orders.orders o
  where o.placed_at is not null and not exists (select from orders.order_items i where i.order_id = o.id)

  union all select 'reserved is the sum of what open reservations hold', count(*), min(i.sku)
  from inventory.inventory_items i
  left join (select l.sku, sum(l.qty - l.shipped_qty) as open
             from inventory.reservation_items l join inventory.reservations r using (order_id)
             where r.state in ('held', 'confirmed') group by l.sku) l on l.sku = i.sku
  where i.reserved_qty <> coalesce(l.open, 0)

  union all select 'on hand is the sum of all movements', count(*), min(i.sku)
  from inventory.inventory_items i
  left join (select sku, sum(qty) as moved from inventory.stock_movements group by sku) m on m.sku = i.sku
  where i.qty_on_hand <> coalesce(m.moved, 0)

  union all select 'a reservation is as its order is', count(*), min(o.id::text)
  from orders.orders o left join inventory.reservations r on r.order_id = o.id
  where case o.status
    when 'draft' then r.state in ('confirmed', 'shipped')
    when 'placed' then r.state is distinct from 'confirmed'
    when 'cancelled' then r.state in ('held', 'confirmed', 'shipped')
    else r.state is distinct from 'shipped' end

  union all select 'an order that is placed has all its stock', count(*), min(i.order_id::text)
  from (select order_id, sku, sum(qty) as qty, sum(shipped_qty) as shipped_qty
        from orders.order_items join orders.orders o on o.id = order_id
        where o.status in ('placed', 'shipped', 'completed') group by order_id, sku) i
  left join inventory.reservation_items r using (order_id, sku)
  where (r.qty, r.shipped_qty) is distinct from (i.qty, i.shipped_qty)

  union all select 'what left the house is what orders shipped', count(*), min(coalesce(s.shipment_id, m.ref_id)::text)
  from (select shipment_id, sku, sum(qty) as qty from orders.shipment_items group by shipment_id, sku) s
  full join (select ref_id, sku, qty from inventory.stock_movements where reason = 'shipment') m
    on m.ref_id = s.shipment_id and m.sku = s.sku
  where s.qty is distinct from -m.qty

  union all select 'an order that was placed has one invoice, others none', count(*), min(coalesce(o.id, v.order_id)::text)
  from (select id, total_amount, tax_amount from orders.orders where placed_at is not null) o
  full join (select order_id, count(*) as count, min(amount) as amount, min(tax_amount) as tax_amount
             from billing.invoices group by order_id) v on v.order_id = o.id
  where (v.count, v.amount, v.tax_amount) is distinct from (1, o.total_amount, o.tax_amount)

  union all select 'the invoices of cancelled orders, and no others, are void', count(*), min(o.id::text)
  from orders.orders o join billing.invoices v on v.order_id = o.id
  where (o.status = 'cancelled') <> (v.status = 'voided')

  union all select 'an order is paid when its invoice is', count(*), min(o.id::text)
  from orders.orders o join billing.invoices v on v.order_id = o.id
  where v.status <> 'voided' and o.paid <> (v.status = 'paid')

  union all select 'an order is completed when it is shipped and paid', count(*), min(id::text)
  from orders.orders where status = 'shipped' and paid or status = 'completed' and not paid

  union all select 'what is paid of an invoice is the sum of its allocations', count(*), min(v.id::text)
  from billing.invoices v
  where v.paid_amount <> (select coalesce(sum(a.amount), 0) from billing.payment_allocations a where a.invoice_id = v.id)
     or v.status <> 'voided' and (v.status = 'paid') <> (v.paid_amount = v.amount)

  union all select 'a payment is its allocations and what of it is credit', count(*), min(p.id::text)
  from billing.payments p
  where p.amount - p.unallocated <> (
    select coalesce(sum(a.amount), 0) from billing.payment_allocations a where a.payment_id = p.id)

  union all select 'no number of an invoice or credit note is missing', count(*), min(n.series)
  from billing.number_series n
  where n.next_number - 1 <> case n.series when 'INV' then (select count(*) from billing.invoices)
                                           else (select count(*) from billing.credit_notes) end

  union all select 'each journal balances', count(*), min(journal_id::text)
  from (select journal_id from ledger.ledger_entries group by journal_id having sum(debit) <> sum(credit)) j

  union all select 'each event that moves money has one journal, and no journal is without', count(*), min(coalesce(e.id, j.source_event_id::text))
  from (select payload->>'id' as id from billing.events_log
        where event_type in ('invoice.issued', 'invoice.voided', 'credit_note.issued', 'payment.received')
          and (payload->'data'->'amount'->>'amount')::numeric <> 0) e
  full join ledger.journals j on j.source_event_id::text = e.id
  where e.id is null or j.id is null

  union all select 'account 1100 is what open invoices owe', count(*), min(debtors::text)
  from (select coalesce(sum(debit - credit), 0) as debtors from ledger.ledger_entries where account = '1100') l
  where debtors <> (select coalesce(sum(amount - paid_amount), 0) from billing.invoices where status <> 'voided')

  union all select 'account 2110 is the credit of customers', count(*), min(credit::text)
  from (select coalesce(sum(credit - debit), 0) as credit from ledger.ledger_entries where account = '2110') l
  where credit <> (select coalesce(sum(unallocated), 0) from billing.payments)
                + (select coalesce(sum(credited), 0) from billing.credit_notes)

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
        union all select 'billing', id::text, version from billing.invoices
        union all select 'hr', id::text, version from hr.employees) a
  left join (select source, payload->>'subject' as subject, max((payload->>'version')::int) as version
             from (select * from orders.events_log union all select * from inventory.events_log
                   union all select * from billing.events_log union all select * from hr.events_log) e
             group by source, payload->>'subject') e on e.source = a.source and e.subject = a.id
  where e.version is distinct from a.version

  union all select 'consumers have applied all that was published', count(*), min(consumer || ' of ' || source)
  from (select 'orders' as consumer, source, log_id from orders.consumer_positions
        union all select 'inventory', source, log_id from inventory.consumer_positions
        union all select 'billing', source, log_id from billing.consumer_positions
        union all select 'ledger', source, log_id from ledger.consumer_positions) p
  where p.log_id <> case p.source
    when 'orders' then (select coalesce(max(id), 0) from orders.events_log)
    when 'inventory' then (select coalesce(max(id), 0) from inventory.events_log)
    when 'billing' then (select coalesce(max(id), 0) from billing.events_log) end

  union all select 'nothing was put aside', count(*), min(error)
  from (select error from orders.dead_letters union all select error from inventory.dead_letters
        union all select error from billing.dead_letters union all select error from ledger.dead_letters
        union all select error from hr.dead_letters) d
) checks
order by broken desc, what
