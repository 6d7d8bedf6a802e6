create table inventory.products (
  sku varchar(64) primary key,
  name varchar(255) not null,
  description text not null default '',
  price numeric(12, 2) not null constraint products_price_check check (price >= 0),
  created_at timestamptz not null default now(),
  version integer not null default 1
);
create index idx_products_name on inventory.products (name text_pattern_ops);

-- Room in each page lets a level change stay in its page, without a new index entry.
create table inventory.inventory_items (
  sku varchar(64) primary key constraint inventory_items_sku_fkey references inventory.products (sku),
  qty_on_hand integer not null default 0,
  reserved_qty integer not null default 0,
  reorder_point integer not null default 0 constraint inventory_items_reorder_point_check check (reorder_point >= 0),
  updated_at timestamptz not null default now(),
  constraint inventory_items_reserved_qty_check check (reserved_qty between 0 and qty_on_hand)
) with (fillfactor = 70);

-- One per order, also when nothing is reserved any more: a row that is released refuses a reservation that comes late; one that has lapsed
-- (its time ran out while the order was a draft) does not, and has no items.
create table inventory.reservations (
  order_id uuid primary key,
  state varchar(16) not null
    constraint reservations_state_check check (state in ('held', 'confirmed', 'shipped', 'released', 'lapsed')),
  expires_at timestamptz not null,
  created_at timestamptz not null default now(),
  version integer not null default 1
);
create index reservations_expires_at_idx on inventory.reservations (expires_at) where state = 'held';

create table inventory.reservation_items (
  order_id uuid not null constraint reservation_items_order_id_fkey references inventory.reservations (order_id),
  sku varchar(64) not null constraint reservation_items_sku_fkey references inventory.inventory_items (sku),
  qty integer not null constraint reservation_items_qty_check check (qty > 0),
  shipped_qty integer not null default 0,
  primary key (order_id, sku),
  constraint reservation_items_shipped_qty_check check (shipped_qty between 0 and qty)
);

-- Append-only: on hand is the sum of these.
create table inventory.stock_movements (
  id uuid primary key,
  sku varchar(64) not null constraint stock_movements_sku_fkey references inventory.inventory_items (sku),
  qty integer not null constraint stock_movements_qty_check check (qty <> 0),
  reason varchar(16) not null constraint stock_movements_reason_check check (reason in ('receipt', 'shipment')),
  -- The delivery or the shipment.
  ref_id uuid not null,
  recorded_at timestamptz not null default now(),
  constraint stock_movements_ref_id_sku_key unique (ref_id, sku)
);
create index stock_movements_sku_idx on inventory.stock_movements (sku, recorded_at);
create trigger stock_movements_append_only before update or delete or truncate on inventory.stock_movements
  for each statement execute function inventory.refuse_change();
