"""What goes through the gateway or is told from elsewhere: steps, spans, API keys, limits, imports."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """The new tables are there, and rows of those that hold facts are only ever added."""
    _steps()
    _spans()
    _access()
    _imports()
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgresql()
    else:
        _guard_sqlite()


def _steps() -> None:
    op.create_table(
        "step",
        sa.Column("position", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("trajectory", sa.String(), nullable=False),
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("capability", sa.String(), nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("parent", sa.String(), nullable=True),
        sa.Column("application", sa.String(), nullable=True),
        sa.Column("provider", sa.String(), nullable=True),
        sa.Column("model", sa.String(), nullable=True),
        sa.Column("ending", sa.String(), nullable=False),
        sa.Column("elapsed_s", sa.Float(), nullable=False),
        sa.Column("first_s", sa.Float(), nullable=True),
        sa.Column("input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("output_tokens", sa.BigInteger(), nullable=True),
        sa.Column("cache_read_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cache_write_tokens", sa.BigInteger(), nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_amount", sa.String(), nullable=True),
        sa.Column("cost_currency", sa.String(), nullable=True),
        sa.Column("price", sa.String(), nullable=True),
        sa.Column("joules", sa.Float(), nullable=True),
        sa.Column("energy_grade", sa.String(), nullable=False),
        sa.Column("failure", sa.String(), nullable=True),
        sa.Column("response", sa.String(), nullable=True),
        sa.Column("payload", sa.String(), nullable=True),
        sa.Column("details", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["work_case.id"], name="fk_step_case_id"),
        sa.ForeignKeyConstraint(["payload"], ["payload.digest"], name="fk_step_payload"),
        sa.PrimaryKeyConstraint("position", name="pk_step"),
        sa.UniqueConstraint("id", name="uq_step_id"),
    )
    op.create_index("ix_step_capability_position", "step", ["capability", "position"])
    op.create_index("ix_step_case_id", "step", ["case_id"])
    op.create_index("ix_step_response", "step", ["response"])
    op.create_index("ix_step_trajectory", "step", ["trajectory"])
    op.create_table(
        "join_key",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("trajectory", sa.String(), nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.Column("around", sa.String(), nullable=False),
        sa.Column("standing", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", "trajectory", name="pk_join_key"),
        sqlite_with_rowid=False,
    )


def _spans() -> None:
    op.create_table(
        "span",
        sa.Column("trace", sa.String(), nullable=False),
        sa.Column("span", sa.String(), nullable=False),
        sa.Column("parent", sa.String(), nullable=True),
        sa.Column("at", _AT, nullable=False),
        sa.Column("application", sa.String(), nullable=True),
        sa.Column("payload", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["payload"], ["payload.digest"], name="fk_span_payload"),
        sa.PrimaryKeyConstraint("trace", "span", name="pk_span"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "trace_state",
        sa.Column("trace", sa.String(), nullable=False),
        sa.Column("seen_at", _AT, nullable=False),
        sa.Column("rooted", sa.Integer(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.Column("made", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("trace", name="pk_trace_state"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_trace_state_waiting_seen_at", "trace_state", ["waiting", "seen_at"])
    counter = sa.table("counter", sa.column("name", sa.String), sa.column("value", sa.BigInteger))
    op.bulk_insert(counter, [{"name": "span", "value": 0}])


def _access() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("application", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("expires_at", _AT, nullable=True),
        sa.Column("revoked_at", _AT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_api_key"),
        sa.UniqueConstraint("digest", name="uq_api_key_digest"),
    )
    op.create_index("ix_api_key_application", "api_key", ["application"])
    op.create_table(
        "spending",
        sa.Column("limit", sa.String(), nullable=False),
        sa.Column("window_start", _AT, nullable=False),
        sa.Column("replica", sa.String(), nullable=False),
        sa.Column("leased", sa.String(), nullable=False),
        sa.Column("spent", sa.String(), nullable=False),
        sa.Column("until", _AT, nullable=False),
        sa.PrimaryKeyConstraint("limit", "window_start", "replica", name="pk_spending"),
    )


def _imports() -> None:
    op.create_table(
        "import_cursor",
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("cursor", sa.Text(), nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.PrimaryKeyConstraint("source", name="pk_import_cursor"),
    )
    op.create_index("ix_work_case_capability_business_key", "work_case", ["capability", "business_key"])


_FACTS = ("step", "span")
"""Tables whose rows nobody may change or remove."""


def _guard_sqlite() -> None:
    for table in _FACTS:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )


def _guard_postgresql() -> None:
    for table in _FACTS:
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_{verb.lower()} BEFORE {verb} ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
            )
        op.execute(f"CREATE TRIGGER {table}_truncate BEFORE TRUNCATE ON {table} EXECUTE FUNCTION refuse_change()")
