"""The training: AdamW over the adapter alone, one case at a time, in steps of some cases.

A step is deterministic, so that a run that was killed and continued sees the cases in the same
order as one that was not.
"""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from nearfield.errors import NotReady
from nearfield.features.tune import needs
from nearfield.features.tune.network import TunedNetwork
from nearfield.features.tune.plan import PlanStore, TunePlan

CASES_PER_STEP = 8
LEARNING_RATE = 5e-4
"""With a LoRA of rank 8 and some hundred steps; Hu et al. 2021 use 2e-4 for longer runs. It falls
to a tenth of it with the time."""
WARM_UP_STEPS = 5
MAX_EPOCHS = 3
CHECKPOINT_SECONDS = 30.0
END_SAMPLES = 8


@dataclass(frozen=True, slots=True)
class TuneSample:
    """A case in tokens; those from `begin` on are the answer. With `ends` the prompt says what
    comes after it, so that an end is learned too."""

    tokens: list[int]
    begin: int
    ends: bool


class Training:
    """A run over `samples`, continued from a checkpoint where there is one."""

    def __init__(
        self, network: TunedNetwork, samples: Sequence[TuneSample], store: PlanStore, plan: TunePlan
    ) -> None:
        self._torch = torch = needs.torch()
        self._network, self._store, self._plan = network, store, plan
        parameters = list(network.adapter.values())
        self._optimiser = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=0.01)
        self._parameters = parameters
        self._restore()
        self._samples = self._with_ends(samples)

    def run(
        self, left: Callable[[], float], whole: float, check: Callable[[int, float], None]
    ) -> None:
        """Train until `left` says that no seconds are, of `whole` at first, or every case was seen
        `MAX_EPOCHS` times. `check` gets the cases seen and the last loss before each case, and
        ends the training by what it raises."""
        kept = time.monotonic()
        try:
            while left() > 0 and self._plan.trained < MAX_EPOCHS * len(self._samples):
                self._step(max(0.1, left() / whole), check)
                if time.monotonic() - kept > CHECKPOINT_SECONDS:
                    self._keep()
                    kept = time.monotonic()
        finally:
            self._keep()

    def _step(self, share: float, check: Callable[[int, float], None]) -> None:
        plan, losses = self._plan, list[float]()
        self._optimiser.zero_grad()
        for number in range(CASES_PER_STEP):
            check(plan.trained + number, plan.last_loss)
            sample = self._sample(plan.trained + number)
            loss = self._network.loss(sample.tokens, sample.begin)
            (loss / CASES_PER_STEP).backward()
            losses.append(float(loss.detach()))
        self._torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        warm = min(1.0, (plan.steps + 1) / WARM_UP_STEPS)
        for group in self._optimiser.param_groups:
            group["lr"] = LEARNING_RATE * warm * share
        self._optimiser.step()
        mean = sum(losses) / len(losses)
        plan.steps += 1
        plan.trained += CASES_PER_STEP
        # Means over about ten steps.
        plan.first_loss += (mean - plan.first_loss) / plan.steps * (plan.steps <= 10)
        plan.last_loss += (mean - plan.last_loss) / min(plan.steps, 10)

    def _sample(self, number: int) -> TuneSample:
        epoch, place = divmod(number, len(self._samples))
        order = list(range(len(self._samples)))
        random.Random(f"{self._plan.seed} {epoch}").shuffle(order)  # noqa: S311 - no secret
        return self._samples[order[place]]

    def _with_ends(self, samples: Sequence[TuneSample]) -> list[TuneSample]:
        """Return the samples with the token that ends an answer to a prompt with a suffix: of those
        that the file names, the one that the model itself finds likeliest there."""
        ends, torch = list(self._network.architecture.ends), self._torch
        some = [one for one in samples if one.ends][:END_SAMPLES]
        if not ends or not some:
            return list(samples)
        with torch.no_grad():
            logits = [self._network.logits(one.tokens, len(one.tokens) - 1)[-1] for one in some]
        likely = torch.stack(logits).float().log_softmax(-1).sum(0)
        end = max(ends, key=lambda token: float(likely[token]))
        return [
            TuneSample([*one.tokens, end], one.begin, one.ends) if one.ends else one
            for one in samples
        ]

    def _keep(self) -> None:
        file = io.BytesIO()
        memory = psutil.Process().memory_info().rss
        self._plan.peak_memory = max(self._plan.peak_memory, memory)
        adapter = {name: values.detach().cpu() for name, values in self._network.adapter.items()}
        state: dict[str, Any] = {
            "trained": self._plan.trained,
            "steps": self._plan.steps,
            "adapter": adapter,
            "optimiser": self._optimiser.state_dict(),
        }
        self._torch.save(state, file)
        self._store.keep_checkpoint(file.getvalue(), self._plan)

    def _restore(self) -> None:
        """Go on from a checkpoint; begin again where there is none that can be read."""
        content, plan = self._store.checkpoint(), self._plan
        plan_seen = plan.trained
        plan.trained = plan.steps = 0
        if content is None or not plan_seen:
            return
        state = self._torch.load(
            io.BytesIO(content), map_location=self._network.device, weights_only=True
        )
        with self._torch.no_grad():
            for name, values in state["adapter"].items():
                self._network.adapter[name].copy_(values)
        self._optimiser.load_state_dict(state["optimiser"])
        plan.trained, plan.steps = state["trained"], state["steps"]


def device(torch: Any) -> str:
    """Return where PyTorch computes: on a GPU of NVIDIA's or AMD's where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def stopped() -> NotReady:
    """Return the error of a run that was asked to stop."""
    return NotReady("Tuning was stopped.", "Run the same command again to go on.")
