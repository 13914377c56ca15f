"""When the indexer rests because somebody types."""

from __future__ import annotations

import pytest

from nearfield.index.throttle import MAX_PAUSE_SECONDS, TypingPause


class Typed:
    """A pause, and the clock that it reads."""

    def __init__(self) -> None:
        self.now = 100.0
        self.pause = TypingPause(lambda: self.now)

    def left(self, after: float = 0.0) -> float:
        self.now += after
        return self.pause.left()


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        ([], 0.0),
        ([(0.0, 0.4)], 0.4),
        ([(0.0, 0.4), (0.3, 0.4)], 0.4),
        ([(0.0, 2.5), (0.3, 0.4)], 0.4),  # the answer came before its time was over
        ([(0.0, 0.4), (0.0, 0.0)], 0.0),
        ([(0.0, 600.0)], MAX_PAUSE_SECONDS),
    ],
)
def test_the_last_request_decides_the_pause(asked: list[tuple[float, float]], left: float) -> None:
    typed = Typed()
    for after, seconds in asked:
        typed.now += after
        assert typed.pause.ask(seconds)
    assert typed.left() == pytest.approx(left)
    assert typed.left(after=left) == 0.0


def test_endless_typing_lets_some_work_through() -> None:
    typed = Typed()
    for _ in range(3):
        typed.pause.ask(600.0)
        assert typed.left() == pytest.approx(MAX_PAUSE_SECONDS)
        assert typed.left(after=MAX_PAUSE_SECONDS) == 0.0
        assert not typed.pause.ask(600.0), "the piece that is due is not left off"
    assert typed.left(after=1.0) == pytest.approx(MAX_PAUSE_SECONDS), "and then it rests again"
    assert typed.pause.ask(0.0)
