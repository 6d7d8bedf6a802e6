"""Asks analytics-svc with SQL, as any ADBC program does: `sql.py`, told by JSON on its standard input.

    {"url": "grpc://127.0.0.1:50056", "options": {"adbc.flight.sql.authorization_header": "Bearer …"}, "ask": ["select 1", …]}

Prints one line of JSON a question: its columns and rows as text, or why there are none. The question "objects" asks for the tables and
their columns instead.
"""

import json
import sys

import adbc_driver_flightsql.dbapi as flight_sql


def objects(connection):
    """As `table column…`, through what database tools call."""
    found = connection.adbc_get_objects(depth="columns")
    tables = []
    for catalog in found.to_dicts():
        for schema in catalog["catalog_db_schemas"] or []:
            for table in schema["db_schema_tables"] or []:
                columns = [column["column_name"] for column in table["table_columns"] or []]
                tables.append([table["table_name"], *columns])
    return tables


def ask(connection, sql):
    if sql == "objects":
        return {"rows": objects(connection)}
    with connection.cursor() as cursor:
        cursor.execute(sql)
        frame = cursor.fetch_polars()
        rows = [[None if cell is None else str(cell) for cell in row] for row in frame.rows()]
        return {"columns": frame.columns, "rows": rows}


def main():
    told = json.load(sys.stdin)
    with flight_sql.connect(told["url"], db_kwargs=told["options"], autocommit=True) as connection:
        for sql in told["ask"]:
            try:
                answer = ask(connection, sql)
            except Exception as refused:  # Polars has errors of its own for what fails while it reads.
                answer = {"refused": str(refused)}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
