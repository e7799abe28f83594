"""`python -m tokencapital.cli`: the same as `tcap`."""

from __future__ import annotations

from tokencapital.cli import main

if __name__ == "__main__":
    main()
