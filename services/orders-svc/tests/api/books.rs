//! What must hold whatever has happened, once each service has heard of the other.

use crate::app::App;

/// Each row names what is off.
const OFF: &str = "
  with line as (
    select i.order_id, sum(qty) qty, sum(shipped_qty) shipped,
           sum(price * qty) net, sum(round(price * qty * tax_rate, 2)) tax
    from orders.order_items i group by 1),
  ordered as (
    select order_id, sku, sum(qty) qty, sum(shipped_qty) shipped from orders.order_items group by 1, 2),
  told as (
    select payload->>'subject' subject, array_agg((payload->'version')::int order by id) versions,
           count(*) filter (where event_type = 'order.placed') placed
    from orders.events_log where event_type like 'order.%' group by 1)

  select 'reserved of ' || i.sku from inventory.inventory_items i
  where reserved_qty <> (
    select coalesce(sum(l.qty - l.shipped_qty), 0)
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
  where (l.qty, l.shipped) is distinct from (r.qty::bigint, r.shipped_qty::bigint)
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
  where (total_amount, tax_amount) <> (net + tax, tax)
  union all
  select 'shipped lines of ' || i.order_id from orders.order_items i
  where shipped_qty <> (
    select coalesce(sum(s.qty), 0) from orders.shipment_items s where s.order_item_id = i.id)
  union all
  select 'state of ' || o.id from orders.orders o join line on line.order_id = o.id
  where status <> case when status in ('draft', 'cancelled') then status
                       when qty > shipped then 'placed' when paid then 'completed' else 'shipped' end
     or (status in ('draft', 'cancelled') and shipped > 0)
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
    and not exists (select from orders.orders o where o.id::text = resource_id)";

impl App {
    /// Waits until each service has heard of the other, and panics unless all is as it must be.
    pub(crate) async fn check_books(&self) {
        self.settle().await;
        let off: Vec<String> = sqlx::query_scalar(OFF).fetch_all(&self.db).await.unwrap();
        assert!(off.is_empty(), "off: {off:#?}");
        assert_eq!(self.dead_letters().await, [""; 0]);
    }
}
