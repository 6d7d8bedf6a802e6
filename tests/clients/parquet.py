"""Reads the folder of the materializations as it is, without any service: `parquet.py FOLDER TABLE`.

The manifest names the files that are live, or a list of more of them; others are of versions that are over, or of one that is being written.
Prints the rows as JSON.
"""

import json
import pathlib
import sys
import uuid

import polars


def text(cell):
    """Ids are 16 bytes in Parquet, and nothing else is bytes; Polars does not tell them from others."""
    return str(uuid.UUID(bytes=cell) if isinstance(cell, bytes) else cell)


def main():
    folder, table = pathlib.Path(sys.argv[1]), sys.argv[2]
    manifest = json.loads((folder / "manifest.json").read_text())
    files = manifest["files"]
    if "more_files" in manifest:
        files += json.loads((folder / manifest["more_files"]["path"]).read_text())
    files = [folder / file["path"] for file in files if file["table"] == table]
    rows = polars.read_parquet(files) if files else polars.DataFrame()  # A table without rows has no file.
    print(json.dumps([{name: text(cell) for name, cell in row.items()} for row in rows.to_dicts()]))


if __name__ == "__main__":
    main()
