-- The foreign keys that cross schemas: only while these share a database. Dropped by `bramble migrate --cross-schema drop`.
alter table orders.order_items drop constraint if exists order_items_sku_fkey;
alter table orders.order_items
  add constraint order_items_sku_fkey foreign key (sku) references inventory.products (sku);
alter table billing.invoices drop constraint if exists invoices_order_id_fkey;
alter table billing.invoices
  add constraint invoices_order_id_fkey foreign key (order_id) references orders.orders (id);
