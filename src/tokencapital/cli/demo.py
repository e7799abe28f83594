"""`tcap demo`."""
def demo() -> None:
    """Demo. Example: `tcap demo`"""
