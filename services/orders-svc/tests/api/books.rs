//! What must hold whatever has happened, once each service has heard of the other.

use crate::app::App;

/// Each row names what is off.
const OFF: &str = "
  with line as (
    select i.order_id, sum(qty) qty, sum(shipped_qty) shipped, sum(cancelled_qty) cancelled,
           sum(price * (qty - cancelled_qty)) net, sum(price * (qty - cancelled_qty - returned_qty)) kept_net,
           sum(round(price * (qty - cancelled_qty - returned_qty) * tax_rate, 2)) kept_tax
    from orders.order_items i group by 1),
  ordered as (
    select order_id, sku, sum(qty) qty, sum(shipped_qty) shipped, sum(cancelled_qty) cancelled, sum(returned_qty) returned
    from orders.order_items group by 1, 2),
  came_back as (
    select order_id, sum(amount) amount, sum(tax_amount) tax from orders.returns group by 1),
  told as (
    select payload->>'subject' subject, array_agg((payload->'version')::int order by id) versions,
           count(*) filter (where event_type = 'order.placed') placed,
           sum(case event_type when 'order.placed' then (payload->'data'->'total'->>'amount')::numeric
                               when 'order.part_cancelled' then -(payload->'data'->'amount'->>'amount')::numeric end) told_total,
           sum(case event_type when 'order.placed' then (payload->'data'->'tax'->>'amount')::numeric
                               when 'order.part_cancelled' then -(payload->'data'->'tax'->>'amount')::numeric end) told_tax,
           sum((payload->'data'->'amount'->>'amount')::numeric) filter (where event_type = 'order.returned') told_returned,
           sum((payload->'data'->'tax'->>'amount')::numeric) filter (where event_type = 'order.returned') told_returned_tax
    from orders.events_log where event_type like 'order.%' group by 1)

  select 'reserved of ' || i.sku from inventory.inventory_items i
  where reserved_qty <> (
    select coalesce(sum(l.qty - l.shipped_qty - l.released_qty), 0)
    from inventory.reservation_items l join inventory.reservations r using (order_id)
    where l.sku = i.sku and r.state in ('held', 'confirmed'))
  union all
  select 'on hand of ' || i.sku from inventory.inventory_items i
  where qty_on_hand <> (select coalesce(sum(qty), 0) from inventory.stock_movements m where m.sku = i.sku)
  union all
  select 'lines without their stock: ' || order_id
  from (select d.* from ordered d join orders.orders o on o.id = d.order_id
        where o.status in ('placed', 'shipped', 'completed')) l
  full join (select i.* from inventory.reservation_items i join inventory.reservations r using (order_id)
        where r.state in ('confirmed', 'shipped')) r using (order_id, sku)
  where (l.qty, l.shipped, l.cancelled, l.returned)
    is distinct from (r.qty::bigint, r.shipped_qty::bigint, r.released_qty::bigint, r.returned_qty::bigint)
  union all
  select 'reservation of ' || o.id from orders.orders o left join inventory.reservations r on r.order_id = o.id
  where case o.status when 'placed' then r.state is distinct from 'confirmed'
                      when 'cancelled' then r.state is distinct from 'released'
                      when 'draft' then coalesce(r.state, 'held') not in ('held', 'lapsed')
                      else r.state is distinct from 'shipped' end
  union all
  select 'stock held for nobody: ' || order_id from inventory.reservations r
  where state in ('held', 'confirmed', 'shipped') and not exists (select from orders.orders o where o.id = r.order_id)
  union all
  select 'total of ' || o.id from orders.orders o join line on line.order_id = o.id
  where total_amount - tax_amount <> net
     or (total_amount - returned_amount, tax_amount - returned_tax) <> (kept_net + kept_tax, kept_tax)
  union all
  select 'what is told of the worth of ' || o.id from orders.orders o join told on subject = o.id::text
  where placed_at is not null
    and (total_amount, tax_amount, returned_amount, returned_tax)
      is distinct from (told_total, told_tax, coalesce(told_returned, 0), coalesce(told_returned_tax, 0))
  union all
  select 'returns of ' || o.id from orders.orders o left join came_back c on c.order_id = o.id
  where (returned_amount, returned_tax) <> (coalesce(amount, 0), coalesce(tax, 0))
  union all
  select 'returned lines of ' || i.order_id from orders.order_items i
  where returned_qty <> (
    select coalesce(sum(r.qty), 0) from orders.return_items r where r.order_item_id = i.id)
  union all
  select 'shipped lines of ' || i.order_id from orders.order_items i
  where shipped_qty <> (
    select coalesce(sum(s.qty), 0) from orders.shipment_items s where s.order_item_id = i.id)
  union all
  select 'state of ' || o.id from orders.orders o join line on line.order_id = o.id
  where status <> case when status in ('draft', 'cancelled') then status
                       when qty > shipped + cancelled then 'placed' when paid then 'completed' else 'shipped' end
     or (status in ('draft', 'cancelled') and shipped > 0)
     or (cancelled > 0 and (shipped = 0 or status not in ('shipped', 'completed')))
  union all
  select 'versions of ' || subject from told
  where versions <> array(select generate_series(1, cardinality(versions)))
  union all
  select 'events of ' || o.id from orders.orders o left join told on subject = o.id::text
  where cardinality(versions) is distinct from version or placed <> (placed_at is not null)::int
  union all
  select 'lines of nobody: ' || i.id from orders.order_items i
  where not exists (select from orders.orders o where o.id = i.order_id)
  union all
  select 'requests of nobody: ' || request_id from orders.requests
  where method in ('CreateOrder', 'PlaceOrder', 'CancelOrder')
    and not exists (select from orders.orders o where o.id::text = resource_id)
    and not exists (select from orders.events_log where event_type = 'order.deleted' and payload->>'subject' = resource_id)";

impl App {
    /// Waits until each service has heard of the other, and panics unless all is as it must be.
    pub(crate) async fn check_books(&self) {
        self.settle().await;
        let off: Vec<String> = sqlx::query_scalar(OFF).fetch_all(&self.db).await.unwrap();
        assert!(off.is_empty(), "off: {off:#?}");
        assert_eq!(self.dead_letters().await, [""; 0]);
    }
}
