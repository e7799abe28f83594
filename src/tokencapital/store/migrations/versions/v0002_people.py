"""People and what they know: contributors, accounts, notices, the queue, conflicts, documents, lessons, erasure."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from tokencapital.store.migrations.kept_words import move_words

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """The new tables are there, what was asked before waits as it did, and no fact holds anybody's words."""
    _people()
    _audit()
    _documents()
    _lessons()
    _review()
    _made()
    _seed()
    move_words(op.get_bind())
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgresql()
    else:
        _guard_sqlite()


def _people() -> None:
    op.create_table(
        "contributor_event",
        sa.Column("position", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("contributor", sa.String(), nullable=False),
        sa.Column("people_group", sa.String(), nullable=False),
        sa.Column("team", sa.String(), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_contributor_event"),
    )
    op.create_index("ix_contributor_event_contributor", "contributor_event", ["contributor"])
    op.create_index("ix_contributor_event_people_group", "contributor_event", ["people_group"])
    op.create_table(
        "contributor_name",
        sa.Column("contributor", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("contributor", name="pk_contributor_name"),
    )
    op.create_table(
        "account",
        sa.Column("login", sa.String(), nullable=False),
        sa.Column("contributor", sa.String(), nullable=False),
        sa.Column("roles", sa.Text(), nullable=False),
        sa.Column("secret", sa.String(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("login", name="pk_account"),
    )
    op.create_index("ix_account_contributor", "account", ["contributor"])
    op.create_table(
        "web_session",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("login", sa.String(), nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.Column("seen_at", _AT, nullable=False),
        sa.Column("expires_at", _AT, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_web_session"),
    )
    op.create_index("ix_web_session_login", "web_session", ["login"])
    op.create_table(
        "notice",
        sa.Column("position", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("people_group", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("given_on", _AT, nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_notice"),
        sa.UniqueConstraint("id", name="uq_notice_id"),
    )
    op.create_index("ix_notice_people_group", "notice", ["people_group"])


def _audit() -> None:
    op.create_table(
        "audit_event",
        sa.Column("number", _NUMBER, autoincrement=False, nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit_event"),
    )
    op.create_index("ix_audit_event_subject", "audit_event", ["subject"])


def _documents() -> None:
    op.create_table(
        "document_event",
        sa.Column("position", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("media", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("valid_from", _AT, nullable=False),
        sa.Column("valid_until", _AT, nullable=True),
        sa.Column("at", _AT, nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_document_event"),
    )
    op.create_index("ix_document_event_document_version", "document_event", ["document", "version"])
    op.create_table(
        "passage",
        sa.Column("position", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("payload", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["payload"], ["payload.digest"], name="fk_passage_payload"),
        sa.PrimaryKeyConstraint("position", name="pk_passage"),
        sa.UniqueConstraint("id", name="uq_passage_id"),
    )
    op.create_index("ix_passage_document", "passage", ["document"])
    op.create_table(
        "document_passage",
        sa.Column("document", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("passage", sa.String(), nullable=False),
        sa.Column("heading", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["passage"], ["passage.id"], name="fk_document_passage_passage"),
        sa.PrimaryKeyConstraint("document", "version", "ordinal", name="pk_document_passage"),
    )
    op.create_index("ix_document_passage_passage", "document_passage", ["passage"])


def _lessons() -> None:
    op.create_table(
        "lesson_event",
        sa.Column("position", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("lesson", sa.String(), nullable=False),
        sa.Column("capability", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("text_payload", sa.String(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("valid_until", _AT, nullable=True),
        sa.Column("at", _AT, nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["text_payload"], ["payload.digest"], name="fk_lesson_event_text_payload"),
        sa.PrimaryKeyConstraint("position", name="pk_lesson_event"),
    )
    op.create_index("ix_lesson_event_capability_position", "lesson_event", ["capability", "position"])
    op.create_index("ix_lesson_event_lesson", "lesson_event", ["lesson"])
    op.create_table(
        "mark_event",
        sa.Column("position", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("subject_kind", sa.String(), nullable=False),
        sa.Column("capability", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("because", sa.String(), nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_mark_event"),
    )
    op.create_index("ix_mark_event_capability_position", "mark_event", ["capability", "position"])
    op.create_index("ix_mark_event_subject", "mark_event", ["subject"])


def _review() -> None:
    op.add_column("draw", sa.Column("asked_of", sa.String(), nullable=True))
    op.add_column("draw", sa.Column("passed_by", sa.String(), nullable=True))
    op.create_table(
        "open_draw",
        sa.Column("draw", sa.String(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("capability", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("asked_of", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["work_case.id"], name="fk_open_draw_case_id"),
        sa.ForeignKeyConstraint(["draw"], ["draw.id"], name="fk_open_draw_draw"),
        sa.PrimaryKeyConstraint("draw", name="pk_open_draw"),
    )
    op.create_index("ix_open_draw_capability_position", "open_draw", ["capability", "position"])
    op.create_index("ix_open_draw_capability_asked_of", "open_draw", ["capability", "asked_of"])
    op.create_index("ix_open_draw_asked_of", "open_draw", ["asked_of"])
    op.create_index("ix_open_draw_case_id", "open_draw", ["case_id"])
    op.create_table(
        "lease",
        sa.Column("draw", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("since", _AT, nullable=False),
        sa.Column("until", _AT, nullable=False),
        sa.ForeignKeyConstraint(["draw"], ["draw.id"], name="fk_lease_draw"),
        sa.PrimaryKeyConstraint("draw", name="pk_lease"),
    )
    op.create_table(
        "conflict_event",
        sa.Column("position", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("conflict", sa.String(), nullable=False),
        sa.Column("capability", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("reason_payload", sa.String(), nullable=True),
        sa.Column("at", _AT, nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["reason_payload"], ["payload.digest"], name="fk_conflict_event_reason_payload"),
        sa.PrimaryKeyConstraint("position", name="pk_conflict_event"),
    )
    op.create_index("ix_conflict_event_capability_position", "conflict_event", ["capability", "position"])
    op.create_index("ix_conflict_event_conflict", "conflict_event", ["conflict"])
    op.add_column("judgment", sa.Column("blind", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index("ix_judgment_expert_at", "judgment", ["expert", "at"])
    op.drop_index("ix_judgment_capability", "judgment")
    op.create_index("ix_judgment_capability_sequence", "judgment", ["capability", "sequence"])
    op.create_table(
        "judgment_basis",
        sa.Column("judgment_id", sa.String(), nullable=False),
        sa.Column("passage", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["judgment_id"], ["judgment.id"], name="fk_judgment_basis_judgment_id"),
        sa.ForeignKeyConstraint(["passage"], ["passage.id"], name="fk_judgment_basis_passage"),
        sa.PrimaryKeyConstraint("judgment_id", "passage", name="pk_judgment_basis"),
    )
    op.create_index("ix_judgment_basis_passage", "judgment_basis", ["passage"])


def _made() -> None:
    op.create_table(
        "answer_basis",
        sa.Column("basis", sa.String(), nullable=False),
        sa.Column("trajectory", sa.String(), nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.PrimaryKeyConstraint("basis", "trajectory", name="pk_answer_basis"),
        sqlite_with_rowid=False,
    )
    op.add_column("artifact", sa.Column("erased_at", _AT, nullable=True))
    op.add_column("trajectory", sa.Column("false_citations", sa.Integer(), server_default="0", nullable=False))
    op.create_table(
        "rebuild_event",
        sa.Column("position", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("artifact", sa.String(), nullable=False),
        sa.Column("capability", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("because", sa.String(), nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["artifact"], ["artifact.digest"], name="fk_rebuild_event_artifact"),
        sa.PrimaryKeyConstraint("position", name="pk_rebuild_event"),
    )
    op.create_index("ix_rebuild_event_artifact", "rebuild_event", ["artifact"])
    op.create_table(
        "swap_test",
        sa.Column("position", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("capability", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_swap_test"),
        sa.UniqueConstraint("id", name="uq_swap_test_id"),
    )
    op.create_index("ix_swap_test_capability_position", "swap_test", ["capability", "position"])


def _seed() -> None:
    """Counters, the draws that nobody has answered yet, and what the answers so far rest on."""
    counter = sa.table("counter", sa.column("name", sa.String), sa.column("value", sa.BigInteger))
    op.bulk_insert(counter, [{"name": name, "value": 0} for name in ("audit", "knowledge")])
    op.execute(
        "INSERT INTO open_draw (draw, position, case_id, capability, kind) "
        "SELECT d.id, d.position, d.case_id, d.capability, d.kind FROM draw AS d WHERE "
        "(SELECT COUNT(*) FROM draw AS e WHERE e.case_id = d.case_id AND e.kind = d.kind AND e.position <= d.position) "
        "> (SELECT COUNT(*) FROM judgment AS j WHERE j.case_id = d.case_id AND j.drawn = d.kind AND NOT EXISTS "
        "(SELECT 1 FROM memory_event AS m WHERE m.judgment_id = j.id AND m.kind = 'withdrawn'))"
    )
    postgresql = op.get_bind().dialect.name == "postgresql"
    each = "jsonb_array_elements_text(t.because::jsonb) AS b(value)" if postgresql else "json_each(t.because) AS b"
    op.execute(
        "INSERT INTO answer_basis (basis, trajectory, at) "
        f"SELECT DISTINCT b.value, t.id, t.at FROM trajectory AS t CROSS JOIN {each}"
    )


_FACTS = (
    "answer_basis",
    "contributor_event",
    "notice",
    "audit_event",
    "document_event",
    "passage",
    "document_passage",
    "lesson_event",
    "mark_event",
    "conflict_event",
    "judgment_basis",
    "rebuild_event",
    "swap_test",
)
"""Tables whose rows nobody may change or remove."""

_ARTIFACT_MAY = "NEW.digest = OLD.digest AND length(NEW.body) = 0 AND NEW.erased_at IS NOT NULL"
"""An artifact is only ever erased."""


def _guard_sqlite() -> None:
    op.execute("DROP TRIGGER artifact_update")
    op.execute(
        f"CREATE TRIGGER artifact_update BEFORE UPDATE ON artifact WHEN NOT ({_ARTIFACT_MAY}) "
        "BEGIN SELECT RAISE(ABORT, 'artifact is append-only'); END"
    )
    for table in _FACTS:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )


def _guard_postgresql() -> None:
    op.execute("DROP TRIGGER artifact_update ON artifact")
    op.execute(
        f"CREATE TRIGGER artifact_update BEFORE UPDATE ON artifact FOR EACH ROW WHEN (NOT ({_ARTIFACT_MAY})) "
        "EXECUTE FUNCTION refuse_change()"
    )
    for table in _FACTS:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_{verb.lower()} BEFORE {verb} ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
            )
        op.execute(f"CREATE TRIGGER {table}_truncate BEFORE TRUNCATE ON {table} EXECUTE FUNCTION refuse_change()")
