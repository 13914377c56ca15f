"""Frames between the server and the worker."""

from __future__ import annotations

from nearfield.engine import frames


def test_frames_survive_the_wire() -> None:
    spec = frames.Generate(
        id=3,
        lane="infill",
        priority=0,
        document="file",
        variants=[frames.Variant([("<|fim_prefix|>", True), ("é\0", False)], heal=1)],
    )
    framed = frames.encode(spec)
    (length,) = frames.HEADER.unpack(framed[:4])
    assert length == len(framed) - 4
    assert frames.decode_command(framed[4:]) == spec
