"""The webhook's sub-commands. Loaded at `presagio --help`: everything heavy is imported when it runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from presagio.toolkit.cli import add_client_flags, add_log_flags, add_server_flags

_CONFIG = "webhook.yml"
_STORAGE = "data/webhook"


class WebhookCommand:
    """`presagio webhook`: hear, decide, act, verify."""

    help = "receive alerts of Alertmanager and remedy them by policy"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the flags of a server."""
        add_server_flags(parser, config=_CONFIG, address=":3001", storage=_STORAGE)

    def run(self, arguments: argparse.Namespace) -> int:
        """Serve until told to stop."""
        from presagio.toolkit.serve import serve
        from presagio.webhook.server import WebhookWing

        return serve(WebhookWing(), arguments)


class RemediationCommand:
    """`presagio remediation`: what people decide."""

    help = "approve or refuse a plan; pause and resume all acting; freeze what is learnt; print roles"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare approve, refuse, pause, resume, freeze, unfreeze, status and roles."""
        actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, dest="remediation_action")
        approve = actions.add_parser("approve", help="let a plan be carried out")
        refuse = actions.add_parser("refuse", help="do not, and do not ask again for this alert")
        pause = actions.add_parser("pause", help="stop all acting; what runs is brought to its end")
        resume = actions.add_parser("resume", help="let policies act again")
        freeze = actions.add_parser("freeze", help="choose by what was learnt until now; explore and learn nothing")
        unfreeze = actions.add_parser("unfreeze", help="learn again, also from what was seen meanwhile")
        status = actions.add_parser("status", help="tell whether acting is paused or learning frozen, and by whom")
        for action in (approve, refuse):
            action.add_argument("remediation", type=int, metavar="ID", help="its id")
            action.add_argument(
                "--plan-hash",
                dest="plan_hash",
                metavar="HASH",
                help="of the plan that was read (default: of the plan now)",
            )
        for action in (approve, refuse, pause, resume, freeze, unfreeze):
            action.add_argument("--note", default="", metavar="TEXT", help="why, for the ledger")
        for action in (approve, refuse, pause, resume, freeze, unfreeze, status):
            self._common(action)
        self._roles(actions.add_parser("roles", help="print what Kubernetes must allow for a file's policies"))

    def _roles(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--config.file", dest="config_file", type=Path, default=Path(_CONFIG), metavar="FILE",
            help=f"the webhook's configuration (default: {_CONFIG})",
        )  # fmt: skip
        parser.add_argument(
            "--namespace", action="append", metavar="NAME",
            help="namespace that is acted upon; may be repeated (default: default)",
        )  # fmt: skip
        parser.add_argument(
            "--service-account", dest="service_account", default="presagio:presagio", metavar="NAMESPACE:NAME",
            help="whom the webhook runs as (default: presagio:presagio)",
        )  # fmt: skip
        add_log_flags(parser)

    def _common(self, parser: argparse.ArgumentParser) -> None:
        add_client_flags(parser, "webhook", "http://localhost:3001")
        add_log_flags(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Ask the webhook, or only its configuration."""
        if arguments.remediation_action == "roles":
            from presagio.webhook.roles_command import run as print_roles

            return print_roles(arguments)
        from presagio.webhook.people_command import run

        return run(arguments)


class AuditCommand:
    """`presagio audit`: what was done, by whom, and whether the record of it is whole."""

    help = "list, show, verify and export the ledger of remediations"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare list, show, verify and export."""
        actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True, dest="audit_action")
        listing = actions.add_parser("list", help="list remediations, the newest first")
        listing.add_argument("--limit", type=int, default=20, metavar="N", help="how many (default: 20)")
        listing.add_argument("--all", action="store_true", help="alerts that started nothing too")
        show = actions.add_parser("show", help="tell the story of one remediation")
        show.add_argument("remediation", type=int, metavar="ID", help="its id")
        verify = actions.add_parser("verify", help="check that no row was changed, removed or added")
        verify.add_argument(
            "--head", metavar="SEQ:HASH", help="a row known from elsewhere, such as presagio_ledger_head_info"
        )
        verify.add_argument("--file", type=Path, metavar="FILE", help="verify what was exported instead")
        export = actions.add_parser("export", help="write the rows as JSON lines, to keep them elsewhere")
        export.add_argument("--after", type=int, default=0, metavar="SEQ", help="only rows behind this one")
        export.add_argument("--output", type=Path, metavar="FILE", help="new file (default: standard output)")
        for action in (listing, show, verify, export):
            self._common(action)

    def _common(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--storage.path", dest="storage_path", type=Path, default=Path(_STORAGE), metavar="DIR",
            help=f"the webhook's folder (default: {_STORAGE})",
        )  # fmt: skip
        parser.add_argument(
            "--config.file", dest="config_file", type=Path, metavar="FILE",
            help="the webhook's configuration, if it moves the ledger or its key",
        )  # fmt: skip
        parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
        add_log_flags(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Print what was asked for; 1 if the ledger does not verify."""
        from presagio.webhook.audit import run

        return run(arguments)


class ReplayCommand:
    """`presagio replay`: other policies on the alerts and outcomes of the past."""

    help = "try policies on stored alerts, and value them by what came of the actions of the past"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the ledger, the policies, and how much of the past."""
        parser.add_argument(
            "--storage.path", dest="storage_path", type=Path, default=Path(_STORAGE), metavar="DIR",
            help=f"the webhook's folder (default: {_STORAGE})",
        )  # fmt: skip
        parser.add_argument(
            "--config.file", dest="config_file", type=Path, default=Path(_CONFIG), metavar="FILE",
            help=f"the webhook's configuration (default: {_CONFIG})",
        )  # fmt: skip
        parser.add_argument(
            "--policy", type=Path, metavar="FILE",
            help="another webhook.yml, whose policies are tried (default: those of --config.file)",
        )  # fmt: skip
        parser.add_argument(
            "--conditions", action="store_true", help="ask Prometheus whether the conditions held when the alert came"
        )
        parser.add_argument("--limit", type=int, default=2000, metavar="N", help="newest so many (default: 2000)")
        parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the random numbers (default: 0)")
        parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
        add_log_flags(parser)

    def run(self, arguments: argparse.Namespace) -> int:
        """Print what the policies would have done, and what that is worth."""
        from presagio.webhook.replay_command import run

        return run(arguments)
