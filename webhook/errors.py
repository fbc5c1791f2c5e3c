"""What the webhook raises beside the errors of toolkit.errors."""

from __future__ import annotations

from presagio.toolkit.errors import PresagioError


class LedgerError(PresagioError):
    """The ledger cannot be used: broken, of another version, without its key, or its chain does not verify."""


class ConflictError(PresagioError):
    """Someone else moved the remediation first: nothing was written."""


class ApprovalError(PresagioError):
    """An approval or refusal that cannot be taken: too late, of another plan, or of nothing that waits for one."""


class MissingError(PresagioError):
    """There is no such remediation."""


class AlertmanagerError(PresagioError):
    """Alertmanager could not be asked, or its answer could not be used."""
