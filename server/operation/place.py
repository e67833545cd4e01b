"""Arguments that the commands share: which gateway, with which secret, in which form."""

from __future__ import annotations

import argparse
import os

from server.devices.client import DEFAULT_URL, Client


def add_place(parser: argparse.ArgumentParser) -> None:
    """Declare --url, --secret and --json."""
    parser.add_argument(
        "--url",
        default=os.environ.get("TELERIG_URL", DEFAULT_URL),
        help=f"of the gateway (TELERIG_URL, else {DEFAULT_URL})",
    )
    parser.add_argument(
        "--secret",
        help="API secret (default: TELERIG_API_SECRET, which other users of this machine cannot "
        "see)",
    )
    parser.add_argument("--json", action="store_true", help="print the gateway's JSON")


def secret_of(args: argparse.Namespace) -> str:
    """Give the secret of the arguments or the environment; empty where there is none."""
    env = os.environ
    return args.secret or env.get("TELERIG_API_SECRET") or env.get("API_SECRET_KEY") or ""


def client_of(args: argparse.Namespace) -> Client:
    """Give a client of the gateway; without a secret the gateway decides what we may."""
    return Client(args.url, secret_of(args), needed=False)
