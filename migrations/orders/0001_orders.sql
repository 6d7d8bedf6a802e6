create table orders.customers (
  id uuid primary key,
  name varchar(255) not null,
  email varchar(255) not null,
  phone varchar(50) not null default '',
  created_at timestamptz not null default now(),
  metadata jsonb,
  version integer not null default 1
);
create unique index idx_customers_email on orders.customers (lower(email));

create table orders.orders (
  id uuid primary key,
  customer_id uuid not null constraint orders_customer_id_fkey references orders.customers (id),
  status varchar(32) not null
    constraint orders_status_check check (status in ('draft', 'placed', 'cancelled', 'shipped', 'completed')),
  total_amount numeric(14, 2) not null constraint orders_total_amount_check check (total_amount >= 0),
  created_at timestamptz not null default now(),
  metadata jsonb,
  tax_amount numeric(14, 2) not null default 0,
  placed_at timestamptz,
  paid boolean not null default false,
  cancel_reason varchar(255) not null default '',
  version integer not null default 1,
  constraint orders_placed_at_check check (status in ('draft', 'cancelled') or placed_at is not null)
);
create index idx_orders_customer on orders.orders (customer_id, created_at);

create table orders.order_items (
  id uuid primary key,
  order_id uuid not null constraint order_items_order_id_fkey references orders.orders (id) on delete cascade,
  sku varchar(64) not null,
  qty integer not null constraint order_items_qty_check check (qty > 0),
  price numeric(12, 2) not null constraint order_items_price_check check (price >= 0),
  line_no integer not null,
  -- Agreed with the customer: placing does not replace it by the catalogue's.
  price_agreed boolean not null default false,
  tax_rate numeric(5, 4) not null default 0 constraint order_items_tax_rate_check check (tax_rate between 0 and 1),
  shipped_qty integer not null default 0,
  constraint order_items_shipped_qty_check check (shipped_qty between 0 and qty)
);
create index idx_order_items_order on orders.order_items (order_id);

create table orders.shipments (
  id uuid primary key,
  order_id uuid not null constraint shipments_order_id_fkey references orders.orders (id),
  shipped_at timestamptz not null default now()
);
create index shipments_order_id_idx on orders.shipments (order_id);

create table orders.shipment_items (
  shipment_id uuid not null constraint shipment_items_shipment_id_fkey references orders.shipments (id),
  order_item_id uuid not null constraint shipment_items_order_item_id_fkey references orders.order_items (id),
  sku varchar(64) not null,
  qty integer not null constraint shipment_items_qty_check check (qty > 0),
  primary key (shipment_id, order_item_id)
);
