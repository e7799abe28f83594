"""What the house remembers: facts that are only ever added, payloads that may be erased.

One contract on SQLite (one file, one writer process) and on PostgreSQL. Ordinary readers return what
may be learned from; what is sealed is read through `tokencapital.store.sealed` alone.
"""
