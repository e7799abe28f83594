"""Files of the company's knowledge as documents in passages: bytes in, words under headings out."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import PurePath

from msgspec import Struct

from tokencapital.core.errors import InputError
from tokencapital.core.flowchart import read_flowcharts
from tokencapital.core.knowledge import Media, Piece
from tokencapital.record.chart_words import chart_pieces, chart_title
from tokencapital.record.markup import named_row, read_html, read_markdown
from tokencapital.record.passages import Block, pack

ENDINGS = {
    ".md": Media.MARKDOWN,
    ".markdown": Media.MARKDOWN,
    ".html": Media.HTML,
    ".htm": Media.HTML,
    ".txt": Media.TEXT,
    ".text": Media.TEXT,
    ".csv": Media.CSV,
    ".tsv": Media.CSV,
    ".json": Media.FLOWCHART,
}
"""What a file is written in, by how its name ends."""

_SNIFFED = 8_192


class Read(Struct, frozen=True, kw_only=True):
    """One document in a file. `part` names it where the file holds several; empty: it is the file."""

    title: str
    media: Media
    pieces: tuple[Piece, ...]
    part: str = ""


def media_of(name: str) -> Media | None:
    """What a file is written in, by its name; None: nothing that can be read here."""
    return ENDINGS.get(PurePath(name).suffix.lower())


def read_documents(data: bytes, media: Media, name: str) -> list[Read]:
    """The documents in the bytes of a file called `name`: one, or one for each flowchart.

    Raises InputError where they are not what the name says, or say nothing.
    """
    if media is Media.FLOWCHART:
        charts = read_flowcharts(data, name)
        return [
            Read(title=chart_title(chart), media=media, pieces=tuple(chart_pieces(chart)), part=chart.name)
            for chart in charts
        ]
    text, stem = _decoded(data, name), PurePath(name).stem
    if media is Media.CSV:
        found = Read(title=stem, media=media, pieces=tuple(pack(_csv_rows(text, name))))
    else:
        markup = read_html(text) if media is Media.HTML else read_markdown(text, plain=media is Media.TEXT)
        found = Read(title=markup.title or stem, media=media, pieces=tuple(pack(markup.blocks)))
    if not found.pieces:
        raise InputError("there are no words in it", where=name)
    return [found]


def _decoded(data: bytes, name: str) -> str:
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        if b"\0" in data[:_SNIFFED]:
            raise InputError("this is no text", where=name) from None
        text = data.decode("cp1252", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _csv_rows(text: str, name: str) -> Iterator[Block]:
    """Each row with the names of its columns, under its number, since rows say nothing of each other."""
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(text[:_SNIFFED], ",;\t|")
    except csv.Error:
        dialect = csv.excel
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text), dialect) if any(row)]
    except csv.Error as error:
        raise InputError(f"this is no table: {error}", where=name) from error
    names = rows[0] if rows else []
    for number, row in enumerate(rows[1:], 1):
        said = named_row(names, row)
        if said:
            yield Block((f"Row {number}",), said, whole=True)
