"""Proposes better policies out of what people judged; never sees a sealed case."""
