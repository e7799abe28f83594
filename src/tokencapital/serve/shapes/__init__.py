"""What calls of models say, in each wire: pure functions between bodies and nouns, which never raise on what came."""

from tokencapital.serve.shapes.reading import read_call
from tokencapital.serve.shapes.tokens import usage_of

__all__ = ["read_call", "usage_of"]
