alter table orders.order_items drop constraint if exists order_items_sku_fkey;
alter table billing.invoices drop constraint if exists invoices_order_id_fkey;
