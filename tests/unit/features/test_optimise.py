"""What a variant changes, whether it is kept, and the code that it is measured with."""

from __future__ import annotations

import itertools
from pathlib import Path

import msgspec
import pytest

from nearfield.catalog.gguf import Tensor
from nearfield.engine.optimise_frames import Compared, Figures
from nearfield.errors import CatalogError
from nearfield.features.optimise import corpus, judge
from nearfield.features.optimise.plan import RECIPES, changes, slow_share

AS_BEFORE = Figures(right=100, likelihood=-1.0, prefill=70.0, decode=20.0, bytes=1)


def compared(
    *, right: int = 100, likelihood: float = -1.0, prefill: float = 2.0, decode: float = 1.0
) -> Compared:
    return Compared(
        before=AS_BEFORE,
        after=msgspec.structs.replace(AS_BEFORE, right=right, likelihood=likelihood),
        lines=400,
        tokens=4000,
        agreement=0.95,
        prefill=prefill,
        decode=decode,
    )


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (compared(), ""),
        (compared(right=93), ""),
        (compared(right=130, likelihood=-0.5), ""),
        (compared(right=91), "of 400 lines it wrote 91"),
        (compared(likelihood=-1.0 - 2 * judge.MOST_LIKELIHOOD_LOST), "less likely"),
        (compared(prefill=1.14), "read 1.14 times as fast"),
        (compared(prefill=0.7), "read 0.70 times as fast"),
        (compared(decode=0.8), "write 0.80 times as fast"),
    ],
)
def test_what_is_kept(outcome: Compared, said: str) -> None:
    reason = judge.slower(outcome) or judge.worse(outcome)
    assert said in reason
    assert bool(reason) == bool(said)


def layer(**types: str) -> tuple[Tensor, ...]:
    """A layer's matrices of 64 by 64 in these types, and what a model has besides."""
    matrices = [Tensor(f"blk.0.{name}.weight", (64, 64), kind) for name, kind in types.items()]
    norm = Tensor("blk.0.ffn_norm.weight", (64,), "F32")
    return (*matrices, norm, Tensor("output.weight", (64, 999), "Q8_0"))


@pytest.mark.parametrize(
    ("tensors", "names", "share"),
    [
        (layer(ffn_up="Q5_0", attn_k="Q5_0"), ["ffn_up"], 0.5),
        (layer(ffn_up="Q4_K", ffn_gate="IQ4_NL", attn_q="Q4_0"), [], 0.0),
        (layer(ffn_up="Q8_0", ffn_down="Q6_K", attn_v="Q8_0", attn_q="F16"), ["ffn_up", "attn_q"], 0.5),  # noqa: E501 (one case a line)
        (layer(ffn_up="Q2_K"), [], 0.0),
        ((Tensor("blk.0.ffn_up.weight", (40, 64), "Q5_0"),), [], 0.0),
        ((Tensor("blk.0.ffn_up.weight", (64, 64, 8), "Q5_0"),), [], 0.0),
        ((), [], 0.0),
    ],
)  # fmt: skip
def test_what_is_changed(tensors: tuple[Tensor, ...], names: list[str], share: float) -> None:
    changed = changes(tensors, RECIPES[0])
    assert [name.split(".")[2] for name in changed] == names
    assert slow_share(tensors) == pytest.approx(share)


def test_each_recipe_changes_less_than_the_one_before() -> None:
    for earlier, later in itertools.pairwise(RECIPES):
        assert later.matrices < earlier.matrices


def test_no_code_is_both_read_and_compared() -> None:
    assert not set(corpus.READ) & set(corpus.COMPARED)
    assert sum(map(len, corpus.texts())) > 50_000
    found = corpus.cases(160)
    assert len(found) == 160
    assert all(case.middle.count("\n") == corpus.LINES_MISSING for case in found)
    assert all(case.middle.strip() and case.prefix and case.suffix for case in found)
    assert len({case.middle for case in found}) == len(found)


def test_a_python_without_its_sources_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="not in"):
        corpus.cases(10, tmp_path)
