-- Customers are archived; orders are held, given up in part, and returned; lists by name, status and time of placing have their index.

alter table orders.customers add column archived_at timestamptz;
-- In the order of a list by name: by code point, whatever the database's collation.
create index customers_name_idx on orders.customers (lower(name) collate "C", id);

alter table orders.orders
  add column held_at timestamptz,
  add column hold_reason varchar(255) not null default '',
  -- Gross, and the part of it that is tax, of what came back.
  add column returned_amount numeric(14, 2) not null default 0,
  add column returned_tax numeric(14, 2) not null default 0,
  add constraint orders_held_at_check check (held_at is null or status in ('draft', 'placed')),
  add constraint orders_hold_reason_check check (hold_reason = '' or held_at is not null),
  add constraint orders_returned_amount_check check (returned_amount between 0 and total_amount),
  add constraint orders_returned_tax_check check (returned_tax between 0 and tax_amount);
-- Most orders are completed, and those are found without it.
create index orders_status_id_idx on orders.orders (status, id) where status <> 'completed';
create index orders_placed_at_id_idx on orders.orders (placed_at, id) where placed_at is not null;

alter table orders.order_items
  -- Given up after a part of the order had been shipped.
  add column cancelled_qty integer not null default 0,
  add column returned_qty integer not null default 0,
  add constraint order_items_cancelled_qty_check check (cancelled_qty >= 0 and shipped_qty + cancelled_qty <= qty),
  add constraint order_items_returned_qty_check check (returned_qty between 0 and shipped_qty);

-- The line comes first: a draft's lines are deleted, and each time the key that points to them is looked up.
alter table orders.shipment_items
  drop constraint shipment_items_pkey,
  add constraint shipment_items_pkey primary key (order_item_id, shipment_id);

create table orders.returns (
  id uuid primary key,
  order_id uuid not null constraint returns_order_id_fkey references orders.orders (id),
  returned_at timestamptz not null default now(),
  reason varchar(255) not null default '',
  amount numeric(14, 2) not null,
  tax_amount numeric(14, 2) not null,
  constraint returns_amount_check check (amount >= 0),
  constraint returns_tax_amount_check check (tax_amount between 0 and amount)
);
create index returns_order_id_idx on orders.returns (order_id);

create table orders.return_items (
  return_id uuid not null constraint return_items_return_id_fkey references orders.returns (id),
  order_item_id uuid not null constraint return_items_order_item_id_fkey references orders.order_items (id),
  -- Back on the shelf, or else scrapped.
  restock boolean not null,
  sku varchar(64) not null,
  qty integer not null constraint return_items_qty_check check (qty > 0),
  primary key (order_item_id, return_id, restock)
);
