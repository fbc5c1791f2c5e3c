"""The inbox, remediations with their members and leases, the audit rows, the outbox."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make version 0001 of nothing."""
    inbox()
    remediations()
    audit()


def inbox() -> None:
    """Make the table of notifications."""
    op.create_table(
        "inbox",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("received_at", sa.Double, nullable=False),
        sa.Column("sender", sa.String(200), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("alerts", sa.Integer, nullable=False),
        sa.Column("opened_at", sa.Double),
    )
    waiting = sa.text("opened_at IS NULL")
    op.create_index("inbox_waiting", "inbox", ["digest"], unique=True, sqlite_where=waiting, postgresql_where=waiting)


def remediations() -> None:
    """Make the tables of remediations, of whom they answer, and of who may act."""
    op.create_table(
        "remediations",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        *(
            sa.Column(name, sa.Double, nullable=False)
            for name in ("created_at", "updated_at", "not_before", "deadline")
        ),
        sa.Column("finished_at", sa.Double),
        sa.Column("outcome", sa.String(32)),
        sa.Column("notification_id", sa.Integer, sa.ForeignKey("inbox.id")),
        sa.Column("fingerprint", sa.String(200), nullable=False),
        sa.Column("starts_at", sa.Double, nullable=False),
        sa.Column("alert", sa.JSON, nullable=False),
        sa.Column("policy", sa.String(200)),
        sa.Column("policy_revision", sa.String(64)),
        sa.Column("mode", sa.String(20)),
        sa.Column("service_id", sa.String(400)),
        sa.Column("labels", sa.JSON),
        sa.Column("owns", sa.String(400), unique=True),
        sa.Column("rung", sa.Integer, nullable=False),
        sa.Column("action", sa.String(200)),
        sa.Column("plan", sa.JSON),
        sa.Column("plan_hash", sa.String(64)),
        sa.Column("verification", sa.JSON),
        sa.Column("baseline", sa.JSON),
        sa.Column("attempt_id", sa.String(64), unique=True),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("acted_at", sa.Double),
        sa.Column("evidence", sa.JSON),
        sa.Column("samples", sa.JSON),
    )
    live = sa.text("finished_at IS NULL")
    op.create_index("remediations_live", "remediations", ["not_before"], sqlite_where=live, postgresql_where=live)
    for column in ("fingerprint", "service_id"):
        op.create_index(f"ix_remediations_{column}", "remediations", [column])
    op.create_table(
        "membership",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("remediation_id", sa.Integer, sa.ForeignKey("remediations.id"), nullable=False),
        sa.Column("alert_id", sa.Integer, sa.ForeignKey("remediations.id"), nullable=False),
        sa.Column("fingerprint", sa.String(200), nullable=False),
        sa.Column("starts_at", sa.Double, nullable=False),
        sa.Column("joined_at", sa.Double, nullable=False),
        sa.UniqueConstraint("remediation_id", "fingerprint", "starts_at"),
    )
    op.create_index("ix_membership_fingerprint", "membership", ["fingerprint"])
    op.create_table(
        "leases",
        sa.Column("target", sa.String(400), primary_key=True),
        sa.Column("remediation_id", sa.Integer, sa.ForeignKey("remediations.id"), nullable=False, unique=True),
        sa.Column("taken_at", sa.Double, nullable=False),
    )


def audit() -> None:
    """Make the chain with its head, and the outbox."""
    words = ("source", "target", "reason")
    op.create_table(
        "audit",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("remediation_id", sa.Integer),
        *(sa.Column(name, sa.String(32), nullable=False) for name in words),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hmac", sa.String(64), nullable=False),
    )
    op.create_index("ix_audit_remediation_id", "audit", ["remediation_id"])
    head = op.create_table(
        "ledger_head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("hmac", sa.String(64), nullable=False),
    )
    op.bulk_insert(head, [{"id": 1, "seq": 0, "hmac": "0" * 64}])
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("remediation_id", sa.Integer, sa.ForeignKey("remediations.id"), nullable=False),
        sa.Column("subject", sa.String(32), nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("sent_at", sa.Double),
    )
