"""Markdown and HTML as blocks under their headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec import Struct

from tokencapital.record.passages import Block

if TYPE_CHECKING:
    from bs4 import Tag

_SPACE = re.compile(r"\s+")
_FRONT = re.compile(r"\A---\s*\n(.*?)\n---\s*(?:\n|\Z)", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:\s*[\"']?(.+?)[\"']?\s*$", re.MULTILINE)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_UNREAD_TAGS = "button head iframe nav noscript script select style svg template title"
_UNREAD = frozenset(_UNREAD_TAGS.split())
_BLOCK_TAGS = (
    "address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure "
    "footer form header hgroup hr html legend main menu ol p search section summary ul"
)
_BLOCKS = frozenset(_BLOCK_TAGS.split())


class Markup(Struct, frozen=True):
    """What a text in markup says: its title (None: it names none) and its blocks in order."""

    title: str | None
    blocks: tuple[Block, ...]


def read_markdown(text: str, *, plain: bool = False) -> Markup:
    """The blocks of a text in CommonMark with tables. `plain`: tags and indentation in it are words, not markup."""
    from markdown_it import MarkdownIt

    front = _FRONT.match(text)
    parser = MarkdownIt("commonmark", {"html": not plain}).enable(["table", "strikethrough"])
    if plain:
        parser.disable("code")
    found = read_html(parser.render(text[front.end() :] if front else text))
    named = _FRONT_TITLE.search(front.group(1)) if front else None
    return Markup(named.group(1), found.blocks) if named else found


def read_html(text: str) -> Markup:
    """The blocks of a page: what scripts, styles and navigation say is left out."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(text, "html.parser")
    reader = _Reader()
    reader.read(soup)
    reader.end_block()
    named = soup.title.get_text() if soup.title else ""
    title = reader.first_heading or _SPACE.sub(" ", named).strip() or None
    blocks = reader.blocks
    if reader.first_heading and all(block.path[:1] == (reader.first_heading,) for block in blocks):
        blocks = [Block(block.path[1:], block.text, block.whole) for block in blocks]
    return Markup(title, tuple(blocks))


class _Reader:
    """Walks through a page and gathers what stands between the bounds of its blocks."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.first_heading: str | None = None
        self._path: list[tuple[int, str]] = []
        self._words: list[str] = []
        self._mark = ""
        self._whole = False

    def read(self, node: Tag) -> None:
        """Everything inside the node, in order."""
        from bs4.element import NavigableString, PreformattedString, Tag

        for child in node.children:
            if isinstance(child, Tag):
                self._read_tag(child)
            elif isinstance(child, NavigableString) and not isinstance(child, PreformattedString):
                self._words.append(str(child))

    def end_block(self, text: str | None = None) -> None:
        """What was gathered is a block; white space alone is none."""
        text = _SPACE.sub(" ", "".join(self._words)).strip() if text is None else text
        self._words = []
        if text:
            path = tuple(heading for _, heading in self._path)
            self.blocks.append(Block(path, self._mark + text, self._whole))
            self._mark = " " * len(self._mark)

    def _read_tag(self, tag: Tag) -> None:
        if tag.name in _UNREAD or tag.has_attr("hidden"):
            return
        if tag.name in _HEADINGS:
            self.end_block()
            self._head(_HEADINGS[tag.name], tag)
        elif tag.name == "table":
            self.end_block()
            self._read_table(tag)
        elif tag.name == "pre":
            self.end_block()
            self._whole, kept = True, self._whole
            self.end_block(tag.get_text().strip("\n"))
            self._whole = kept
        elif tag.name == "li":
            self._read_item(tag)
        elif tag.name in _BLOCKS:
            self.end_block()
            self.read(tag)
            self.end_block()
        elif tag.name == "br":
            self._words.append(" ")
        elif tag.name == "img":
            self._words.append(str(tag.get("alt") or ""))
        else:
            self.read(tag)

    def _read_item(self, tag: Tag) -> None:
        self.end_block()
        kept = self._mark, self._whole
        depth = sum(parent.name in {"ul", "ol", "menu"} for parent in tag.parents)
        self._mark, self._whole = f"{'  ' * max(depth - 1, 0)}- ", True
        self.read(tag)
        self.end_block()
        self._mark, self._whole = kept

    def _read_table(self, table: Tag) -> None:
        self._whole, kept = True, self._whole
        for row in _rows(table):
            self.end_block(row)
        self._whole = kept

    def _head(self, level: int, tag: Tag) -> None:
        text = _SPACE.sub(" ", tag.get_text()).strip()
        while self._path and self._path[-1][0] >= level:
            self._path.pop()
        if text:
            self._path.append((level, text))
        if level == 1 and self.first_heading is None and text:
            self.first_heading = text


def _rows(table: Tag) -> Iterator[str]:
    """Each row with the names of its columns, so that it says something alone."""
    names: list[str] = []
    for row in table.find_all("tr"):
        cells = row.find_all(["td", "th"], recursive=False)
        texts = [_SPACE.sub(" ", cell.get_text(" ")).strip() for cell in cells]
        if not names and cells and all(cell.name == "th" for cell in cells):
            names = texts
        elif any(texts):
            yield named_row(names, texts)


def named_row(names: list[str], values: list[str]) -> str:
    """The values with the names of their columns where they have one; empty ones are left out."""
    pairs = [(names[place] if place < len(names) else "", value) for place, value in enumerate(values)]
    return "; ".join(f"{name}: {value}" if name else value for name, value in pairs if value)
