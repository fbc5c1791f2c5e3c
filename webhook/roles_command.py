"""`presagio remediation roles`: what Kubernetes must allow so that the policies of a file can be carried out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence

import yaml

from presagio.actions import base
from presagio.actions.base import Permission
from presagio.actions.kubernetes import roles
from presagio.toolkit.log import get_log
from presagio.webhook import config
from presagio.webhook.policy import Policy


def run(arguments: argparse.Namespace) -> int:
    """Print Roles and bindings as YAML. Raises PresagioError."""
    _, policies = config.load(arguments.config_file, get_log("roles"))
    namespaces = arguments.namespace or ["default"]
    documents = roles.manifests(_permissions(policies), namespaces, arguments.service_account)
    if not documents:
        sys.stderr.write(f"no policy of {arguments.config_file} acts on Kubernetes; no role is needed\n")
    sys.stdout.write(yaml.safe_dump_all(documents, sort_keys=False))
    return 0


def _permissions(policies: Sequence[Policy]) -> Iterator[Permission]:
    for step in (step for policy in policies for step in policy.steps):
        action = base.load(step.action)
        yield from roles.narrowed(action.permissions, action.Params.model_validate(step.params))
