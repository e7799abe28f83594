"""The tables. Rows are facts and only ever added, but for the few tables that `CHANGEABLE` names."""

from __future__ import annotations

from tokencapital.store.schema.base import Instant, metadata
from tokencapital.store.schema.books import COMMODITY_SCALES, ledger_commodity, ledger_posting, ledger_transaction
from tokencapital.store.schema.frame import counter, meta, payload
from tokencapital.store.schema.judged import (
    conflict_event,
    draw,
    judgment,
    judgment_basis,
    lease,
    memory_event,
    open_draw,
    sealed_batch,
    sealed_look,
    sealed_member,
    sealed_retirement,
)
from tokencapital.store.schema.knowledge import (
    document_event,
    document_passage,
    lesson_event,
    mark_event,
    passage,
)
from tokencapital.store.schema.made import (
    artifact,
    artifact_lineage,
    capability_event,
    evaluation,
    goal_event,
    loop_turn,
    policy,
    rebuild_event,
    release,
    swap_test,
)
from tokencapital.store.schema.people import (
    account,
    audit_event,
    contributor_event,
    contributor_name,
    notice,
    web_session,
)
from tokencapital.store.schema.traffic import api_key, import_cursor, join_key, span, spending, step, trace_state
from tokencapital.store.schema.work import answer_basis, group_manifest, input_group, outcome, trajectory, work_case

SCHEMA_VERSION = "0003"
"""The newest migration: what `Store.open` brings a store up to."""

CHANGEABLE = frozenset(
    {
        "payload",
        "counter",
        "artifact",
        "open_draw",
        "lease",
        "contributor_name",
        "account",
        "web_session",
        "api_key",
        "spending",
        "trace_state",
        "join_key",
        "import_cursor",
    }
)
"""Tables whose rows may change. Payloads and artifacts do so by erasure alone, never back, and counters grow;
the queue, its leases, names, accounts, sessions, keys, what is left to spend, and how far an import or a trace has
come are states, not facts."""

__all__ = [
    "CHANGEABLE",
    "COMMODITY_SCALES",
    "SCHEMA_VERSION",
    "Instant",
    "account",
    "answer_basis",
    "api_key",
    "artifact",
    "artifact_lineage",
    "audit_event",
    "capability_event",
    "conflict_event",
    "contributor_event",
    "contributor_name",
    "counter",
    "document_event",
    "document_passage",
    "draw",
    "evaluation",
    "goal_event",
    "group_manifest",
    "import_cursor",
    "input_group",
    "join_key",
    "judgment",
    "judgment_basis",
    "lease",
    "ledger_commodity",
    "ledger_posting",
    "ledger_transaction",
    "lesson_event",
    "loop_turn",
    "mark_event",
    "memory_event",
    "meta",
    "metadata",
    "notice",
    "open_draw",
    "outcome",
    "passage",
    "payload",
    "policy",
    "rebuild_event",
    "release",
    "sealed_batch",
    "sealed_look",
    "sealed_member",
    "sealed_retirement",
    "span",
    "spending",
    "step",
    "swap_test",
    "trace_state",
    "trajectory",
    "web_session",
    "work_case",
]
