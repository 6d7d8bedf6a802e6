#!/usr/bin/env python3
"""Cuts one week out of the two months of grocery baskets; README.md beside this file says where those come from.

    make_week.py JOURNEY_FOLDER [OUTPUT_FOLDER]

Reads products.csv, customers.csv, stock.csv and orders.csv.gz, and writes the same files for the week, with the products and
customers that its orders name, dirty orders as they are, and as opening stock exactly what its acceptable orders sell.
expected.json is counted from the baskets alone. The same input gives the same bytes.
"""

import csv
import gzip
import io
import json
import re
import sys
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

FIRST, LAST = "2017-01-09", "2017-01-15"  # UTC, both included
QTY_MAX = 1_000_000


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    source = Path(sys.argv[1])
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parent / "week"
    target.mkdir(parents=True, exist_ok=True)

    baskets = read(source / "orders.csv.gz")
    lines = [row for row in baskets if FIRST <= row["placed_at"][:10] <= LAST]
    skus = {row["sku"] for row in lines}
    refs = {row["customer_ref"] for row in lines}
    products = [row for row in read(source / "products.csv") if row["sku"] in skus]
    customers = [row for row in read(source / "customers.csv") if row["customer_ref"] in refs]

    orders = defaultdict(list)
    for row in lines:
        orders[row["order_ref"]].append(row)
    catalogue = {row["sku"] for row in products}
    accepted = {
        ref: rows for ref, rows in orders.items() if all(is_good(row, catalogue) for row in rows)
    }

    sold = defaultdict(int)
    for rows in accepted.values():
        for row in rows:
            sold[row["sku"]] += int(row["qty"])
    items = read(source / "stock.csv")
    stock = [dict(row, qty=sold[row["sku"]]) for row in items if sold[row["sku"]] > 0]

    # Alike beside alike: a third smaller when compressed.
    products.sort(key=lambda row: (row["description"], row["name"], row["price"], row["sku"]))
    write(target / "products.csv.gz", products)
    write(target / "customers.csv.gz", customers)
    write(target / "stock.csv.gz", stock)
    write(target / "orders.csv.gz", lines)
    expected = expect(lines, orders, accepted, products, customers)
    text = json.dumps(expected, indent=0) + "\n"
    (target / "expected.json").write_text(text, encoding="utf-8")


def is_good(row, catalogue):
    qty = row["qty"]
    return row["sku"] in catalogue and re.fullmatch(r"\d+", qty) is not None and 1 <= int(qty) <= QTY_MAX


def expect(lines, orders, accepted, products, customers):
    hours = defaultdict(lambda: [0, Decimal(0)])
    for rows in accepted.values():
        hour = hours[rows[0]["placed_at"][:13] + ":00:00Z"]
        hour[0] += 1
        hour[1] += sum(int(row["qty"]) * Decimal(row["unit_price"]) for row in rows)
    return {
        "orders_in_file": len(orders),
        "lines_in_file": len(lines),
        "orders_rejected": len(orders) - len(accepted),
        "orders_accepted": len(accepted),
        "lines_accepted": sum(len(rows) for rows in accepted.values()),
        "units_accepted": sum(int(row["qty"]) for rows in accepted.values() for row in rows),
        "total_accepted": str(sum(total for _, total in hours.values())),
        "customers": len(customers),
        "products": len(products),
        "hours_with_sales": len(hours),
        "hours_by_sales": [
            {"hour": hour, "order_count": count, "total_amount": str(total)}
            for hour, (count, total) in sorted(hours.items())
        ],
    }


def read(path):
    opening = gzip.open if path.suffix == ".gz" else open
    with opening(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(path, rows):
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    # Without the time, so that the bytes depend on the rows alone.
    path.write_bytes(gzip.compress(text.getvalue().encode("utf-8"), compresslevel=9, mtime=0))


if __name__ == "__main__":
    main()
