-- Archived products, what stock is worth, movements in their order, partial releases and returns, reorder points that are told once.

alter table inventory.products
  add column archived_at timestamptz,
  add column updated_at timestamptz not null default now();
update inventory.products set updated_at = created_at;

-- Whoever has an item's row locked knows by it alone what may be done: what is only read beside it may be older.
alter table inventory.inventory_items
  add column archived boolean not null default false,
  -- What all that is on hand is worth; before costs were known, nothing.
  add column value numeric(14, 2) not null default 0,
  add column movement_count bigint not null default 0,
  -- Whether it has been told that available fell to the reorder point; false again once it is above.
  add column reorder_told boolean not null default false,
  -- How many events have told of the item itself.
  add column version integer not null default 0,
  -- Changes seldom, and so does its index: a level change stays in its page.
  add column low boolean not null generated always as (qty_on_hand - reserved_qty <= reorder_point) stored,
  add constraint inventory_items_value_check check (value >= 0 and (qty_on_hand > 0 or value = 0));
create index inventory_items_low_idx on inventory.inventory_items (sku) where low;

-- Every row is written anew below, into as few indexes as can be.
drop index inventory.stock_movements_sku_idx;
alter table inventory.stock_movements
  drop constraint stock_movements_ref_id_sku_key,
  -- The movements of a SKU have the numbers 1, 2, 3 and so on.
  add column sequence bigint,
  -- What it added to the value of what is on hand; negative when goods left.
  add column cost numeric(14, 2) not null default 0,
  add column order_id uuid,
  add constraint stock_movements_cost_check check (case when qty > 0 then cost >= 0 else cost <= 0 end),
  drop constraint stock_movements_reason_check,
  add constraint stock_movements_reason_check check (
    reason in ('receipt', 'shipment', 'return', 'count', 'damaged', 'lost', 'found', 'scrapped', 'correction'));
alter table inventory.stock_movements disable trigger stock_movements_append_only;
update inventory.stock_movements m set sequence = n.sequence
from (select id, row_number() over (partition by sku order by recorded_at, id) as sequence
      from inventory.stock_movements) n
where m.id = n.id;
alter table inventory.stock_movements enable trigger stock_movements_append_only;
alter table inventory.stock_movements
  alter column sequence set not null,
  -- What comes back broken goes in and out by the same return.
  add constraint stock_movements_ref_id_sku_reason_key unique (ref_id, sku, reason),
  add constraint stock_movements_sku_sequence_key unique (sku, sequence);

update inventory.inventory_items i
set movement_count = (select count(*) from inventory.stock_movements m where m.sku = i.sku),
    -- What fell before anybody was told of it is not told now: `ListItems` shows it.
    reorder_told = low and (reorder_point > 0 or qty_on_hand > 0);

-- A service of the first release, which may go on until it is replaced, does not number its movements.
create function inventory.number_movement() returns trigger language plpgsql as $$
begin
  update inventory.inventory_items set movement_count = movement_count + 1
  where sku = new.sku returning movement_count into new.sequence;
  return new;
end $$;
create trigger stock_movements_number before insert on inventory.stock_movements
  for each row when (new.sequence is null) execute function inventory.number_movement();

alter table inventory.reservations
  -- Whether a call has confirmed it. If not, what is confirmed or shipped belongs to its order, as all did before there was such a call.
  add column by_call boolean not null default false,
  add constraint reservations_by_call_check check (not by_call or state in ('confirmed', 'shipped', 'released'));
alter table inventory.reservation_items
  add column released_qty integer not null default 0,
  -- What all that was shipped had cost, and all that came back.
  add column shipped_cost numeric(14, 2) not null default 0
    constraint reservation_items_shipped_cost_check check (shipped_cost >= 0),
  add column returned_qty integer not null default 0,
  add column returned_cost numeric(14, 2) not null default 0,
  drop constraint reservation_items_shipped_qty_check,
  add constraint reservation_items_shipped_qty_check
    check (shipped_qty >= 0 and released_qty >= 0 and shipped_qty + released_qty <= qty),
  add constraint reservation_items_returned_qty_check check (returned_qty between 0 and shipped_qty),
  add constraint reservation_items_returned_cost_check check (returned_cost between 0 and shipped_cost);
update inventory.reservation_items i set released_qty = qty - shipped_qty
from inventory.reservations r
where r.order_id = i.order_id and r.state = 'released';
-- With nothing left open, what has left decides.
update inventory.reservations r set state = 'shipped'
where state = 'released'
  and exists (select from inventory.reservation_items i where i.order_id = r.order_id and i.shipped_qty > 0);

-- Of what is open only, and so small. Lines have no index like it: it would cost each reservation a tenth of its time.
create index reservations_open_idx on inventory.reservations (order_id) where state in ('held', 'confirmed');
