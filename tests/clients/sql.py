"""Asks analytics-svc with SQL, as any ADBC program does: `sql.py`, told by JSON on its standard input.

    {"url": "grpc://127.0.0.1:50056", "options": {"adbc.flight.sql.authorization_header": "Bearer …"}, "ask": ["select 1", …]}

Prints one line of JSON a question: its columns and rows as text, or why there are none. A question may be a list: the statement, and then a
value for each `?` of it, such as 1, "a", {"decimal": "1.50"}, {"date": "2026-07-01"} or {"time": "2026-07-01T09:00:00Z"}; or an object
that has the values by name. {"many": [statement, [value, …], …]} asks once for each list. The question "objects" asks for the tables and their columns
instead.
"""

import datetime
import decimal
import json
import sys

import adbc_driver_flightsql.dbapi as flight_sql

KINDS = {
    "decimal": decimal.Decimal,
    "date": datetime.date.fromisoformat,
    "time": datetime.datetime.fromisoformat,
}


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


def value(told):
    if isinstance(told, dict):
        ((kind, text),) = told.items()
        return KINDS[kind](text)
    return told


def ask(connection, question):
    if question == "objects":
        return {"rows": objects(connection)}
    with connection.cursor() as cursor:
        if isinstance(question, str):
            cursor.execute(question)
        elif isinstance(question, list):
            cursor.execute(question[0], [value(told) for told in question[1:]])
        elif "many" in question:
            statement, *rows = question["many"]
            cursor.executemany(statement, rows)
        else:
            ((statement, values),) = question.items()
            cursor.execute(statement, {name: value(told) for name, told in values.items()})
        frame = cursor.fetch_polars()
        rows = [[None if cell is None else str(cell) for cell in row] for row in frame.rows()]
        return {"columns": frame.columns, "rows": rows}


def main():
    told = json.load(sys.stdin)
    with flight_sql.connect(told["url"], db_kwargs=told["options"], autocommit=True) as connection:
        for question in told["ask"]:
            try:
                answer = ask(connection, question)
            except Exception as refused:  # Polars has errors of its own for what fails while it reads.
                answer = {"refused": str(refused)}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
