"""The committed protobuf code is what telemetry.proto says."""

from __future__ import annotations

import importlib.resources
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from server.wire import telemetry_pb2

ROOT = Path(__file__).parents[3]
PROTO = "server/wire/telemetry.proto"


def protoc(*arguments: str) -> None:
    """Run the protobuf compiler of grpcio-tools on telemetry.proto."""
    tools = pytest.importorskip("grpc_tools", reason="grpcio-tools is not installed")
    includes = importlib.resources.files(tools) / "_proto"
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", f"-I{includes}", *arguments, PROTO]
    subprocess.run(command, cwd=ROOT, check=True)


def test_the_generated_code_describes_the_proto_file_of_today(tmp_path: Path) -> None:
    """telemetry_pb2 has the descriptor that the compiler makes of telemetry.proto now."""
    described = tmp_path / "telemetry.bin"
    protoc(f"--descriptor_set_out={described}")
    (fresh,) = descriptor_pb2.FileDescriptorSet.FromString(described.read_bytes()).file
    committed = descriptor_pb2.FileDescriptorProto.FromString(
        telemetry_pb2.DESCRIPTOR.serialized_pb
    )
    for kind in fresh.message_type:
        for field in (*kind.field, *(inner for nest in kind.nested_type for inner in nest.field)):
            field.ClearField("json_name")  # generated code leaves it out
    assert committed == fresh


def test_the_generated_files_are_current(tmp_path: Path) -> None:
    """Both files are what the compiler writes, where it is the version that wrote them."""
    protoc(f"--python_out={tmp_path}", f"--pyi_out={tmp_path}")
    for name in ("telemetry_pb2.py", "telemetry_pb2.pyi"):
        fresh = (tmp_path / "server/wire" / name).read_text(encoding="utf-8")
        committed = (ROOT / "server/wire" / name).read_text(encoding="utf-8")
        assert without_version(fresh) == without_version(committed), (
            f"{name} is old: python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. {PROTO}"
        )


def without_version(code: str) -> list[str]:
    """Leave out the lines that name the compiler's version."""
    lines = code.splitlines()
    return [
        line
        for line in lines
        if "Protobuf Python Version" not in line and not line.strip().rstrip(",").isdigit()
    ]
