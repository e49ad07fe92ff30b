"""Lets the tests of this folder, and the processes they start, import its stand-ins; a user without rights."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def secured(real_broker: Any, kafka: Any, tmp_path: Path) -> Any:
    """Return the same topics over the listener that asks for a name and a password, as a user without any right."""
    password = tmp_path / "password"
    password.write_text("writer-secret\n", "utf-8")
    return msgspec.structs.replace(
        kafka,
        bootstrap=real_broker.sasl,
        security="sasl_plaintext",
        mechanism="PLAIN",
        username="writer",
        password_file=str(password),
    )
