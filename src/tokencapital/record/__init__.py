"""Turns exchanges, recorded work and late outcomes into facts in the store."""
