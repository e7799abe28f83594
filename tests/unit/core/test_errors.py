"""The tree that is drawn is the tree that is there."""

from __future__ import annotations

import re

import pytest

from tokencapital.core import errors
from tokencapital.core.errors import InputError, TokenCapitalError

_DRAWN = re.compile(r"^(?P<indent>[│ ]*)(?:├── |└── )?(?P<name>[A-Z]\w+)", re.MULTILINE)


def drawn_tree() -> dict[str, str | None]:
    """Each class in the module's drawing with the one that it hangs from."""
    drawing = (errors.__doc__ or "").split("\n\n", 1)[1]
    parents: list[str] = []
    tree: dict[str, str | None] = {}
    for line in drawing.splitlines():
        found = _DRAWN.match(line)
        assert found is not None, line
        depth = line.index(found["name"]) // 4
        tree[found["name"]] = parents[depth - 1] if depth else None
        parents[depth:] = [found["name"]]
    return tree


def test_the_drawing_in_the_docstring_is_the_tree_of_classes() -> None:
    classes = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    parents = {kind.__name__: kind.__base__.__name__ for kind in classes if kind is not TokenCapitalError}
    assert drawn_tree() == {"TokenCapitalError": None, **parents}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InputError("it broke"), "it broke"),
        (InputError("it broke", where="file:3"), "file:3: it broke"),
        (InputError("it broke.", remedy="Mend it."), "it broke. Mend it."),
        (InputError("it broke", where="file:3", remedy="Mend it."), "file:3: it broke. Mend it."),
        (InputError("it broke", said="'a word'", remedy="Mend it."), "it broke: 'a word'. Mend it."),
    ],
)
def test_an_error_says_where_what_and_what_to_do(error: InputError, said: str) -> None:
    assert str(error) == said


def test_what_is_kept_of_an_error_quotes_nobody() -> None:
    error = InputError("it broke", where="file:3", said="'a word'", remedy="Mend it.")
    assert error.without_words == "file:3: it broke. Mend it."
