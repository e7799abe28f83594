"""The dictionary of the house: frozen nouns, units, errors, clock, ids and group assignment.

Imports nothing but the standard library and msgspec, and is imported by everything.
"""
