"""Files of each kind read as documents: their titles, headings and words, and nothing of their markup."""

from __future__ import annotations

import json

import pytest

from tokencapital.core.errors import InputError
from tokencapital.core.knowledge import Media
from tokencapital.record.documents import Read, media_of, read_documents

MARKDOWN = b"""---
title: "House rules"
owner: x
---
# Rules

First *rule*, see [the form](http://a.test).

## Rooms

| Room | Seats |
|------|-------|
| Galileo | 12 |
| Kepler | |

- book early
  - by mail
- leave on time

```
tcap serve
```

<script>alert(1)</script>
### Keys
In the <b>box</b>.
"""

HTML = b"""<html><head><title>Desk - Intranet</title><style>p {}</style></head><body>
<nav><a>Home</a></nav><h1>Desk</h1><div>loose <b>words</b><p>A para.</p>and a tail</div>
<h2>Hours</h2><dl><dt>Mon</dt><dd>7&ndash;18</dd></dl><p hidden>unseen</p>
<table><thead><tr><th>Day</th><th>From</th></tr></thead><tbody><tr><td>Tue</td><td>8</td></tr></tbody></table>
<!-- a note --><script>alert(1)</script></body></html>"""


def only(data: bytes, media: Media, name: str) -> Read:
    (found,) = read_documents(data, media, name)
    return found


def texts(found: Read) -> dict[str, str]:
    return {" > ".join(piece.heading): piece.text for piece in found.pieces}


def test_markdown_keeps_headings_rows_items_and_words() -> None:
    found = only(MARKDOWN, Media.MARKDOWN, "rules.md")
    assert found.title == "House rules"
    assert texts(found) == {
        "": "First rule, see the form.",
        "Rooms": "Room: Galileo; Seats: 12\nRoom: Kepler\n- book early\n  - by mail\n- leave on time\ntcap serve",
        "Rooms > Keys": "In the box.",
    }


def test_the_only_first_heading_is_the_title() -> None:
    assert only(b"# Desk\n\nWords.\n", Media.MARKDOWN, "x.md").title == "Desk"
    two = only(b"# One\n\nWords.\n\n# Two\n\nMore.\n", Media.MARKDOWN, "x.md")
    assert list(texts(two)) == ["One", "Two"]


def test_html_says_what_a_reader_sees() -> None:
    found = only(HTML, Media.HTML, "desk.html")
    assert found.title == "Desk"
    assert texts(found) == {
        "": "loose words\nA para.\nand a tail",
        "Hours": "Mon\n7–18\nDay: Tue; From: 8",
    }


def test_text_keeps_signs_that_markup_would_take() -> None:
    found = only(b"Send <name> to a_b_c.\n\n    indented\n", Media.TEXT, "note.txt")
    assert found.title == "note"
    assert texts(found) == {"": "Send <name> to a_b_c.\nindented"}


@pytest.mark.parametrize("data", ["Größe: ja".encode(), "Größe: ja".encode("cp1252"), "Größe: ja".encode("utf-16")])
def test_text_is_read_in_the_usual_encodings(data: bytes) -> None:
    assert only(data, Media.TEXT, "x.txt").pieces[0].text == "Größe: ja"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_each_row_of_a_table_says_something_alone(separator: str) -> None:
    rows = [["question", "answer"], ["Who decides?", "The owner"], ["", ""], ["When?", ""]]
    data = "\r\n".join(separator.join(row) for row in rows).encode()
    found = only(data, Media.CSV, "faq.csv")
    assert texts(found) == {"Row 1": "question: Who decides?; answer: The owner", "Row 2": "question: When?"}


def test_a_flowchart_has_a_passage_for_each_step_and_condition() -> None:
    chart = {
        "replies": {"hello": "Hello?", "ask": "Which day?", "look_up": "Look up", "yes": "Yes", "bye": "Bye."},
        "graph": {"hello": "ask", "ask": "look_up", "yes": "hello"},
        "task": "plan_day",
    }
    found = only(
        json.dumps({"day": {"day": chart, "responses": {"ask": "x", "late": "Sorry."}}}).encode(),
        Media.FLOWCHART,
        "w.json",
    )
    assert (found.part, found.title) == ("day", "Workflow: day (plan day)")
    said = texts(found)
    assert list(said) == [
        "All steps in order", "hello", "ask", "look up", "When yes", "At any time > bye", "At any time > late",
    ]  # fmt: skip
    assert said["ask"] == "ask – “Which day?”\nAfter: hello.\nNext: look up."
    assert said["hello"] == "hello – “Hello?”\nWhen: yes.\nNext: ask."


@pytest.mark.parametrize(
    ("data", "media"),
    [
        (b"\x89PNG\0\xff\xff", Media.TEXT),
        (b"", Media.MARKDOWN),
        (b"<script>x</script>", Media.HTML),
        (b"head\n", Media.CSV),
        (b"{", Media.FLOWCHART),
        (b'{"name": "package"}', Media.FLOWCHART),
    ],
)
def test_what_says_nothing_is_refused(data: bytes, media: Media) -> None:
    with pytest.raises(InputError, match="file"):
        read_documents(data, media, "file")


def test_the_name_tells_the_kind() -> None:
    assert media_of("a/B.MD") is Media.MARKDOWN
    assert media_of("picture.png") is None
