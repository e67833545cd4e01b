"""The command `telerig provision`."""

from __future__ import annotations

import argparse
import dataclasses
import getpass
import json
import os
import re
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from server.provisioning.client import Network
    from server.provisioning.flow import Outcome, User, Wanted
    from server.provisioning.gateway_api import Registrar
    from server.provisioning.transport import Transport

USER = "wifiprov"
PASSWORD_VARIABLE = "TELERIG_PROVISION_PASSWORD"
PASSPHRASE_VARIABLE = "TELERIG_WIFI_PASSPHRASE"
SECRET_VARIABLE = "TELERIG_API_SECRET"
MOST_BAUD = 4_000_000
DEVICE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

EPILOG = f"""\
examples:
  telerig provision --http 192.168.4.1 --scan
  telerig provision --http 192.168.4.1 --ssid Home --gateway http://192.168.1.10:8000
  telerig provision --serial /dev/ttyUSB0 --ssid Home

Passwords that are not given are asked for, so that no list of processes shows them. Scripts may
set {PASSWORD_VARIABLE} (the device's), {PASSPHRASE_VARIABLE} (the network's) and
{SECRET_VARIABLE} (the gateway's API secret).

With --gateway the device is registered there and gets a key of its own; the command ends when the
device's first reading has arrived. Without a way to the gateway from here, make the key there
(telerig devices) and give it with --device and --device-key.

--ble is not yet proven on a radio: it is tested against a stand-in with the layout of ESP-IDF's
characteristics. See docs/provisioning.md.

exit code: 0 provisioned, 1 failed, 2 wrong usage
"""


class UsageError(Exception):
    """The words on the command line do not fit together."""


class ProvisionCommand:
    """`telerig provision`: give an ESP32 its Wi-Fi network and its gateway.

    Speaks ESP-IDF's protocomm with security scheme 2 (SRP6a, AES-256-GCM).
    """

    help = "give an ESP32 logger its Wi-Fi network, its gateway and its key"

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments."""
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.epilog = EPILOG
        way = parser.add_mutually_exclusive_group(required=True)
        way.add_argument("--http", metavar="HOST[:PORT]", help="device's server (192.168.4.1)")
        way.add_argument("--ble", metavar="NAME", help="Bluetooth name (not proven on a radio)")
        way.add_argument("--serial", metavar="PORT", help="serial port of the device's console")
        parser.add_argument("--baud", type=int, default=115200, help="of --serial (115200)")
        parser.add_argument("--user", default=USER, help=f"user at the device ({USER})")
        parser.add_argument("--password", metavar="WORD", help="of that user; else asked for")
        parser.add_argument("--scan", action="store_true", help="show the networks, do no more")
        parser.add_argument("--ssid", metavar="NAME", help="network to join; else chosen")
        parser.add_argument("--passphrase", metavar="WORD", help="of the network; else asked for")
        parser.add_argument("--gateway", metavar="URL", help="where the device shall send")
        parser.add_argument("--device", metavar="ID", help="its id at the gateway (made up)")
        parser.add_argument("--vin", help="VIN of its vehicle")
        parser.add_argument(
            "--device-key", metavar="KEY", help="made by hand; nothing is registered"
        )
        parser.add_argument(
            "--timeout", type=float, default=120.0, metavar="S", help="for each wait (120)"
        )
        parser.add_argument(
            "--allow-patch-0",
            action="store_true",
            help="also speak with firmware before March 2025, whose nonces repeat",
        )
        parser.add_argument("--json", action="store_true", help="result as JSON on standard output")

    def run(self, args: argparse.Namespace) -> int:
        """Provision one device; give the exit code."""
        from server.errors import ServerError
        from server.provisioning.flow import Provisioning

        try:
            wanted = wanted_of(args, os.environ)
            transport = transport_of(args)
        except (UsageError, ServerError) as error:
            return _fail(args.json, str(error), 2 if isinstance(error, UsageError) else 1)
        user = Terminal(quiet=args.json).user()
        flow: Provisioning | None = None
        try:
            registrar = registrar_of(wanted, os.environ)
            flow = Provisioning(transport, wanted, user, registrar)
            outcome = flow.run()
        except UsageError as error:
            return _fail(args.json, str(error), 2)
        except ServerError as error:
            return _fail(args.json, str(error), error.exit_code, flow.outcome if flow else None)
        finally:
            transport.close()
        if args.json:
            print(json.dumps({"provisioned": not wanted.scan_only, **result(outcome)}))
        elif not wanted.scan_only:
            print("provisioned")
        return 0


COMMAND = ProvisionCommand()


class Terminal:
    """Speaks with the person at the terminal.

    Args:
        quiet: standard output is for the result: lines go to standard error.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._out = sys.stderr if quiet else sys.stdout

    def user(self) -> User:
        """Give what the flow needs of it."""
        from server.provisioning.flow import User

        return User(self.tell, self.choose, self.ask_passphrase)

    def tell(self, line: str) -> None:
        """Show a line."""
        print(line, file=self._out, flush=True)

    def choose(self, networks: Sequence[Network]) -> Network:
        """Let a network be chosen by its number."""
        from server.provisioning.errors import ProvisionError

        if not networks:
            raise ProvisionError("the device hears no network: bring it nearer, or give --ssid")
        if not sys.stdin.isatty():
            raise ProvisionError("no terminal to choose a network on: give one with --ssid")
        while True:
            print(f"network (1 to {len(networks)}): ", end="", file=self._out, flush=True)
            answer = sys.stdin.readline()
            if not answer:
                raise ProvisionError("no network was chosen")
            if answer.strip().isdecimal() and 0 < int(answer) <= len(networks):
                return networks[int(answer) - 1]

    def ask_passphrase(self, ssid: str) -> str:
        """Ask for a network's passphrase; none for an open one."""
        return _ask(
            f"passphrase of {ssid!r} (empty: open network): ",
            f"give --passphrase or {PASSPHRASE_VARIABLE} (empty for an open network)",
        )


def _ask(prompt: str, instead: str) -> str:
    if not sys.stdin.isatty():
        raise UsageError(f"no terminal to ask for a password on: {instead}")
    try:
        return getpass.getpass(prompt)
    except EOFError:
        raise UsageError(f"nothing was entered: {instead}") from None


def wanted_of(args: argparse.Namespace, env: Mapping[str, str]) -> Wanted:
    """Check the words against each other, and ask for the password if it is missing."""
    from server.provisioning.flow import Wanted

    if args.gateway is None and (args.device or args.device_key or args.vin):
        raise UsageError("--device, --device-key and --vin need --gateway URL")
    if args.device_key is not None and args.device is None:
        raise UsageError("--device-key needs --device, the id that the key was made for")
    if args.gateway is not None and not re.match(r"https?://[^/\s]+/?$", args.gateway):
        raise UsageError(f"--gateway: expected http://HOST:PORT or https://…, got {args.gateway!r}")
    if args.device is not None and not DEVICE_ID.fullmatch(args.device):
        raise UsageError(
            "--device: expected 1 to 64 letters, digits, '.', '_' or '-', "
            f"the first a letter or digit; got {args.device!r}"
        )
    if not 0 < args.baud <= MOST_BAUD:
        raise UsageError(f"--baud: expected 1 to {MOST_BAUD}, got {args.baud}")
    if not 0 < args.timeout <= 86_400:
        raise UsageError(f"--timeout: expected seconds above 0, got {args.timeout:g}")
    password = args.password
    if password is None:
        password = env.get(PASSWORD_VARIABLE)
    if password is None:
        instead = f"give --password or {PASSWORD_VARIABLE}"
        password = _ask(f"password of {args.user} at the device: ", instead)
    return Wanted(
        user=args.user,
        password=password,
        ssid=args.ssid,
        passphrase=args.passphrase if args.passphrase is not None else env.get(PASSPHRASE_VARIABLE),
        gateway_url=None if args.gateway is None else args.gateway.rstrip("/"),
        device=args.device or f"esp32-{secrets.token_hex(4)}",
        vin=args.vin,
        device_key=args.device_key,
        scan_only=args.scan,
        allow_patch_0=args.allow_patch_0,
        timeout_s=args.timeout,
    )


def transport_of(args: argparse.Namespace) -> Transport:
    """Make the way to the device."""
    if args.http is not None:
        from server.provisioning.transport_http import HttpTransport, parse_address

        try:
            return HttpTransport(*parse_address(args.http))
        except ValueError:
            raise UsageError(f"--http: expected HOST or HOST:PORT, got {args.http!r}") from None
    if args.ble is not None:
        from server.provisioning.transport_ble import BleTransport

        return BleTransport(args.ble)
    from server.provisioning.transport_console import ConsoleTransport, open_port

    return ConsoleTransport(open_port(args.serial, args.baud), 1 + secrets.randbelow(2**31 - 1))


def registrar_of(
    wanted: Wanted,
    env: Mapping[str, str],
    ask: Callable[[str, str], str] = _ask,
) -> Registrar | None:
    """Make the connection to the gateway, where one is wanted and no key was given by hand."""
    from server.provisioning.gateway_api import GatewayApi

    if wanted.gateway_url is None or wanted.device_key is not None or wanted.scan_only:
        return None
    secret = env.get(SECRET_VARIABLE) or env.get("API_SECRET_KEY")
    if not secret:
        secret = ask(
            f"API secret of {wanted.gateway_url}: ",
            f"give {SECRET_VARIABLE}, or a key made there with --device and --device-key",
        )
    return GatewayApi(wanted.gateway_url, secret)


def result(outcome: Outcome) -> dict[str, Any]:
    """Give what was achieved, for --json."""
    told = dataclasses.asdict(outcome)
    told["networks"] = [
        {**dataclasses.asdict(network), "security": network.security}
        for network in outcome.networks
    ]
    return told


def _fail(as_json: bool, message: str, code: int, outcome: Outcome | None = None) -> int:
    print(f"telerig provision: {message}", file=sys.stderr)
    if as_json:
        told = result(outcome) if outcome is not None else {}
        print(json.dumps({"provisioned": False, "error": message, **told}))
    return code
