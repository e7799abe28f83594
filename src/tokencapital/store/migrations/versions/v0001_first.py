"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """All tables are there, and every one but two only ever grows."""
    _frame()
    _groups()
    _cases()
    _trajectories()
    _judgments()
    _sealed()
    _draws_and_outcomes()
    _capabilities()
    _artifacts()
    _releases()
    _ledger()
    _seed()
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgresql()
    else:
        _guard_sqlite()


def _frame() -> None:
    op.create_table(
        "meta",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_meta"),
    )
    op.create_table(
        "counter",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counter"),
    )
    op.create_table(
        "payload",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary()),
        sa.Column("erased_at", _AT),
        sa.CheckConstraint("(body IS NULL) = (erased_at IS NOT NULL)", name="ck_payload_erased"),
        sa.PrimaryKeyConstraint("digest", name="pk_payload"),
        sqlite_with_rowid=False,
    )


def _groups() -> None:
    op.create_table(
        "group_manifest",
        sa.Column("entity_group", sa.String(), nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("split", sa.String(), nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "ordinal = 0 OR (ordinal = 1 AND split = 'train')",
            name="ck_group_manifest_leaves_once",
        ),
        sa.PrimaryKeyConstraint("entity_group", "ordinal", name="pk_group_manifest"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "input_group",
        sa.Column("input_key", sa.String(), nullable=False),
        sa.Column("entity_group", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("input_key", name="pk_input_group"),
        sqlite_with_rowid=False,
    )


def _cases() -> None:
    op.create_table(
        "work_case",
        sa.Column("position", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("capability", sa.String(), nullable=False),
        sa.Column("given_group", sa.String(), nullable=False),
        sa.Column("entity_group", sa.String(), nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.Column("business_key", sa.String(), nullable=False),
        sa.Column("input_key", sa.String(), nullable=False),
        sa.Column("payload", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["payload"], ["payload.digest"], name="fk_work_case_payload"),
        sa.PrimaryKeyConstraint("position", name="pk_work_case"),
        sa.UniqueConstraint("id", name="uq_work_case_id"),
    )
    op.create_index("ix_work_case_capability_position", "work_case", ["capability", "position"])
    op.create_index("ix_work_case_entity_group", "work_case", ["entity_group"])


def _trajectories() -> None:
    op.create_table(
        "trajectory",
        sa.Column("position", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("capability", sa.String(), nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.Column("payload", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("source", sa.String()),
        sa.Column("confidence", sa.Float()),
        sa.Column("fields", sa.Text()),
        sa.Column("because", sa.Text(), nullable=False),
        sa.Column("policy", sa.String(), nullable=False),
        sa.Column("memory", sa.BigInteger(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("propensity", sa.Float(), nullable=False),
        sa.Column("elapsed_s", sa.Float(), nullable=False),
        sa.Column("joules", sa.Float()),
        sa.Column("energy_grade", sa.String(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger()),
        sa.Column("output_tokens", sa.BigInteger()),
        sa.Column("cache_read_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cache_write_tokens", sa.BigInteger(), nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost_amount", sa.String()),
        sa.Column("cost_currency", sa.String()),
        sa.Column("release", sa.String()),
        sa.Column("generalist", sa.String()),
        sa.Column("price", sa.String()),
        sa.Column("failure", sa.String()),
        sa.ForeignKeyConstraint(["case_id"], ["work_case.id"], name="fk_trajectory_case_id"),
        sa.ForeignKeyConstraint(["payload"], ["payload.digest"], name="fk_trajectory_payload"),
        sa.PrimaryKeyConstraint("position", name="pk_trajectory"),
        sa.UniqueConstraint("id", name="uq_trajectory_id"),
    )
    op.create_index("ix_trajectory_capability_position", "trajectory", ["capability", "position"])
    op.create_index("ix_trajectory_case_id", "trajectory", ["case_id"])


def _judgments() -> None:
    op.create_table(
        "judgment",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("capability", sa.String(), nullable=False),
        sa.Column("expert", sa.String(), nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("payload", sa.String(), nullable=False),
        sa.Column("drawn", sa.String(), nullable=False),
        sa.Column("probability", sa.Float()),
        sa.Column("valid_from", _AT, nullable=False),
        sa.Column("valid_until", _AT),
        sa.Column("reason_payload", sa.String()),
        sa.Column("minutes", sa.Float()),
        sa.ForeignKeyConstraint(["case_id"], ["work_case.id"], name="fk_judgment_case_id"),
        sa.ForeignKeyConstraint(["payload"], ["payload.digest"], name="fk_judgment_payload"),
        sa.ForeignKeyConstraint(["reason_payload"], ["payload.digest"], name="fk_judgment_reason_payload"),
        sa.PrimaryKeyConstraint("sequence", name="pk_judgment"),
        sa.UniqueConstraint("id", name="uq_judgment_id"),
    )
    op.create_index("ix_judgment_capability", "judgment", ["capability"])
    op.create_index("ix_judgment_case_id", "judgment", ["case_id"])
    op.create_table(
        "memory_event",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("judgment_id", sa.String(), nullable=False),
        sa.Column("capability", sa.String(), nullable=False),
        sa.Column("learnable", sa.Boolean(), nullable=False),
        sa.Column("valid_until", _AT),
        sa.Column("at", _AT, nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("reason", sa.String()),
        sa.ForeignKeyConstraint(["judgment_id"], ["judgment.id"], name="fk_memory_event_judgment_id"),
        sa.PrimaryKeyConstraint("sequence", name="pk_memory_event"),
    )
    op.create_index(
        "ix_memory_event_capability_sequence",
        "memory_event",
        ["capability", "sequence"],
    )
    op.create_index("ix_memory_event_judgment_id", "memory_event", ["judgment_id"])


def _sealed() -> None:
    op.create_table(
        "sealed_batch",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("capability", sa.String(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sealed_batch"),
        sa.UniqueConstraint("capability", "ordinal", name="uq_sealed_batch_capability_ordinal"),
    )
    op.create_table(
        "sealed_member",
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("batch", sa.String(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["batch"], ["sealed_batch.id"], name="fk_sealed_member_batch"),
        sa.ForeignKeyConstraint(["case_id"], ["work_case.id"], name="fk_sealed_member_case_id"),
        sa.PrimaryKeyConstraint("case_id", name="pk_sealed_member"),
    )
    op.create_index("ix_sealed_member_batch", "sealed_member", ["batch"])
    op.create_table(
        "sealed_look",
        sa.Column("batch", sa.String(), nullable=False),
        sa.Column("comparison", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("candidate", sa.String(), nullable=False),
        sa.Column("live", sa.String()),
        sa.Column("alpha", sa.Float(), nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.ForeignKeyConstraint(["batch"], ["sealed_batch.id"], name="fk_sealed_look_batch"),
        sa.PrimaryKeyConstraint("batch", "comparison", name="pk_sealed_look"),
    )
    op.create_table(
        "sealed_retirement",
        sa.Column("batch", sa.String(), nullable=False),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["batch"], ["sealed_batch.id"], name="fk_sealed_retirement_batch"),
        sa.PrimaryKeyConstraint("batch", name="pk_sealed_retirement"),
    )


def _draws_and_outcomes() -> None:
    op.create_table(
        "draw",
        sa.Column("position", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("capability", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("probability", sa.Float()),
        sa.Column("at", _AT, nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["work_case.id"], name="fk_draw_case_id"),
        sa.PrimaryKeyConstraint("position", name="pk_draw"),
        sa.UniqueConstraint("id", name="uq_draw_id"),
    )
    op.create_index("ix_draw_capability_position", "draw", ["capability", "position"])
    op.create_index("ix_draw_case_id", "draw", ["case_id"])
    op.create_table(
        "outcome",
        sa.Column("position", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("capability", sa.String(), nullable=False),
        sa.Column("business_key", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_outcome"),
        sa.UniqueConstraint("id", name="uq_outcome_id"),
    )
    op.create_index("ix_outcome_capability_business_key", "outcome", ["capability", "business_key"])


def _capabilities() -> None:
    op.create_table(
        "capability_event",
        sa.Column("position", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("capability", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_capability_event"),
    )
    op.create_index("ix_capability_event_capability", "capability_event", ["capability"])
    op.create_table(
        "goal_event",
        sa.Column("position", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("capability", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("position", name="pk_goal_event"),
    )
    op.create_index("ix_goal_event_capability", "goal_event", ["capability"])


def _artifacts() -> None:
    op.create_table(
        "artifact",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("recipe", sa.String(), nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_artifact"),
    )
    op.create_table(
        "artifact_lineage",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["digest"], ["artifact.digest"], name="fk_artifact_lineage_digest"),
        sa.ForeignKeyConstraint(["sequence"], ["memory_event.sequence"], name="fk_artifact_lineage_sequence"),
        sa.PrimaryKeyConstraint("digest", "sequence", name="pk_artifact_lineage"),
        sqlite_with_rowid=False,
    )


def _releases() -> None:
    op.create_table(
        "policy",
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("capability", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_policy"),
    )
    op.create_table(
        "release",
        sa.Column("position", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("capability", sa.String(), nullable=False),
        sa.Column("policy", sa.String(), nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.Column("lane", sa.String(), nullable=False),
        sa.Column("decision", sa.String(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("parent", sa.String()),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["policy"], ["policy.hash"], name="fk_release_policy"),
        sa.PrimaryKeyConstraint("position", name="pk_release"),
        sa.UniqueConstraint("id", name="uq_release_id"),
    )
    op.create_index("ix_release_capability_position", "release", ["capability", "position"])
    op.create_table(
        "loop_turn",
        sa.Column("capability", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.Column("cases", sa.Integer(), nullable=False),
        sa.Column("judgments", sa.Integer(), nullable=False),
        sa.Column("memory", sa.BigInteger(), nullable=False),
        sa.Column("release", sa.String()),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("capability", "number", name="pk_loop_turn"),
    )
    op.create_table(
        "evaluation",
        sa.Column("policy", sa.String(), nullable=False),
        sa.Column("memory", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("generalist", sa.String(), nullable=False),
        sa.Column("seed", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("scorer", sa.String(), nullable=False),
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint(
            "policy",
            "memory",
            "generalist",
            "seed",
            "scorer",
            "case_id",
            name="pk_evaluation",
        ),
        sqlite_with_rowid=False,
    )


def _ledger() -> None:
    op.create_table(
        "ledger_commodity",
        sa.Column("commodity", sa.String(), nullable=False),
        sa.Column("scale", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("commodity", name="pk_ledger_commodity"),
    )
    op.create_table(
        "ledger_transaction",
        sa.Column("position", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("at", _AT, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("memo", sa.String(), nullable=False),
        sa.Column("capability", sa.String()),
        sa.Column("release", sa.String()),
        sa.Column("reference", sa.String()),
        sa.Column("reverses", sa.String()),
        sa.ForeignKeyConstraint(
            ["reverses"],
            ["ledger_transaction.id"],
            name="fk_ledger_transaction_reverses",
        ),
        sa.PrimaryKeyConstraint("position", name="pk_ledger_transaction"),
        sa.UniqueConstraint("id", name="uq_ledger_transaction_id"),
        sa.UniqueConstraint("reference", name="uq_ledger_transaction_reference"),
        sa.UniqueConstraint("reverses", name="uq_ledger_transaction_reverses"),
    )
    op.create_index(
        "ix_ledger_transaction_capability_position",
        "ledger_transaction",
        ["capability", "position"],
    )
    op.create_table(
        "ledger_posting",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("transaction_id", sa.String(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("commodity", sa.String(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["commodity"],
            ["ledger_commodity.commodity"],
            name="fk_ledger_posting_commodity",
        ),
        sa.ForeignKeyConstraint(
            ["transaction_id"],
            ["ledger_transaction.id"],
            name="fk_ledger_posting_transaction_id",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_posting"),
    )
    op.create_index("ix_ledger_posting_transaction_id", "ledger_posting", ["transaction_id"])


def _seed() -> None:
    counter = sa.table("counter", sa.column("name", sa.String), sa.column("value", sa.BigInteger))
    op.bulk_insert(counter, [{"name": "memory", "value": 0}])
    commodity = sa.table(
        "ledger_commodity",
        sa.column("commodity", sa.String),
        sa.column("scale", sa.Integer),
    )
    scales = {"USD": 9, "TOK": 0, "JOULE": 3, "MINUTE": 3}
    op.bulk_insert(
        commodity,
        [{"commodity": name, "scale": scale} for name, scale in scales.items()],
    )


_FACTS = (
    "artifact",
    "capability_event",
    "evaluation",
    "goal_event",
    "group_manifest",
    "input_group",
    "ledger_commodity",
    "ledger_transaction",
    "meta",
    "outcome",
    "policy",
    "sealed_batch",
    "ledger_posting",
    "release",
    "loop_turn",
    "sealed_look",
    "sealed_retirement",
    "work_case",
    "draw",
    "judgment",
    "sealed_member",
    "trajectory",
    "memory_event",
    "artifact_lineage",
)
"""Tables whose rows nobody may change or remove."""

_MAY_CHANGE = {
    "payload": "NEW.digest = OLD.digest AND NEW.body IS NULL",
    "counter": "NEW.name = OLD.name AND NEW.value >= OLD.value",
}
"""What a change of a row must keep: a payload is only ever erased, a counter only ever grows."""


def _guard_sqlite() -> None:
    for table in (*_FACTS, *_MAY_CHANGE):
        for verb in ("UPDATE", "DELETE"):
            allowed = _MAY_CHANGE.get(table) if verb == "UPDATE" else None
            condition = f"WHEN NOT ({allowed})" if allowed else ""
            op.execute(
                f"CREATE TRIGGER {table}_{verb.lower()} BEFORE {verb} ON {table} {condition} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )


def _guard_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    for table in (*_FACTS, *_MAY_CHANGE):
        for verb in ("UPDATE", "DELETE"):
            allowed = _MAY_CHANGE.get(table) if verb == "UPDATE" else None
            condition = f"WHEN (NOT ({allowed}))" if allowed else ""
            op.execute(
                f"CREATE TRIGGER {table}_{verb.lower()} BEFORE {verb} ON {table} "
                f"FOR EACH ROW {condition} EXECUTE FUNCTION refuse_change()"
            )
        op.execute(f"CREATE TRIGGER {table}_truncate BEFORE TRUNCATE ON {table} EXECUTE FUNCTION refuse_change()")
