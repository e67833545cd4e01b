"""The committed protobuf code is what protocomm.proto says."""

from __future__ import annotations

import importlib.resources
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from server.provisioning import protocomm_pb2

ROOT = Path(__file__).parents[3]
PROTO = "server/provisioning/protocomm.proto"


def test_the_generated_code_describes_the_proto_file_of_today(tmp_path: Path) -> None:
    """protocomm_pb2 has the descriptor that the compiler makes of protocomm.proto now."""
    tools = pytest.importorskip("grpc_tools", reason="grpcio-tools is not installed")
    includes = importlib.resources.files(tools) / "_proto"
    described = tmp_path / "protocomm.bin"
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", f"-I{includes}"]
    subprocess.run([*command, f"--descriptor_set_out={described}", PROTO], cwd=ROOT, check=True)
    (fresh,) = descriptor_pb2.FileDescriptorSet.FromString(described.read_bytes()).file
    committed = descriptor_pb2.FileDescriptorProto.FromString(
        protocomm_pb2.DESCRIPTOR.serialized_pb
    )
    for kind in fresh.message_type:
        for field in kind.field:
            field.ClearField("json_name")  # generated code leaves it out
    assert committed == fresh, (
        f"old code: python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. {PROTO}"
    )
