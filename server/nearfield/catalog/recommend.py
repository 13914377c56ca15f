"""Recommend a model for each role by this machine's memory, cores, GPU and disk.

The limits follow from measurements on two cores with AVX-512: a model of 0.5 billion weights reads
about 70 tokens a second and writes 21, and both fall in proportion to the weights. A suggestion
is worth showing within a second or two, an answer in a chat may take longer, so `complete` gets the
smaller model. Nothing here is exact; `nearfield doctor` measures.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from nearfield.catalog.models import ROLES, Catalog, ModelEntry
from nearfield.catalog.partial_file import free_bytes, megabytes
from nearfield.catalog.templates import FIM_AUTO
from nearfield.files.lines import split_lines

MIB = 1 << 20
# The editor, its other servers and a browser want the rest.
MEMORY_SHARE = 0.5
# Of a GPU's memory, as the screen and other programs have some of it.
GPU_SHARE = 0.9
# The largest model, in millions of weights, that answers in time on a CPU with at most that
# number of physical cores.
CPU_LIMITS = {
    "complete": ((4, 600), (8, 1_600), (1_000, 3_200)),
    "edit": ((4, 1_600), (16, 1_600), (1_000, 8_300)),
    "chat": ((4, 1_600), (8, 3_900), (1_000, 8_100)),
}
# The same on a GPU or Apple silicon: memory decides there, but a suggestion still must be quick.
GPU_LIMITS = {"complete": 8_100, "edit": 8_300, "chat": 31_000}
NVIDIA_SMI_SECONDS = 3.0
# What a core writes in a second, in tokens times millions of weights; see the module.
WRITTEN_BY_A_CORE = 21 * 494 / 2


@dataclass(frozen=True, slots=True)
class Machine:
    """The properties of a machine that decide which models it carries. Memory in bytes. `gpu` is
    its name, "" without a usable one; on Apple silicon the GPU shares the machine's memory."""

    memory: int
    cores: int
    free_disk: int
    gpu: str = ""
    gpu_memory: int = 0

    @property
    def budget(self) -> int:
        """The bytes that a model may take."""
        if self.gpu and self.gpu_memory:
            return int(self.gpu_memory * GPU_SHARE)
        return int(self.memory * MEMORY_SHARE)

    def limit(self, role: str) -> int:
        """Return the largest model for that role that answers in time, in millions of weights."""
        if self.gpu:
            return GPU_LIMITS[role]
        return next(limit for cores, limit in CPU_LIMITS[role] if self.cores <= cores)

    def carries(self, entry: ModelEntry, role: str) -> bool:
        """Return whether the model fits in memory and answers in time."""
        return self.fits(entry) and entry.parameters_m <= self.limit(role)

    def fits(self, entry: ModelEntry) -> bool:
        """Return whether the model leaves enough memory for everything else."""
        return entry.memory_mb * MIB <= self.budget

    def tokens_per_second(self, entry: ModelEntry) -> float | None:
        """Estimate how fast it writes here; None where only a measurement can tell."""
        if self.gpu or not entry.parameters_m:
            return None
        return self.cores * WRITTEN_BY_A_CORE / entry.parameters_m

    def words(self) -> str:
        """Describe the machine in half a sentence."""
        cores = f"{self.cores} core{'' if self.cores == 1 else 's'}"
        gpu = f", {self.gpu}" if self.gpu else ", no GPU that was found"
        return f"{megabytes(self.memory)} of memory, {cores}{gpu}"


def this_machine(catalog: Catalog) -> Machine:
    """Look at this machine. Never fails: what cannot be found out counts as absent."""
    memory = psutil.virtual_memory().total
    cores = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    disk = free_bytes(catalog.folder)
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        # Metal may use about two thirds of the memory by default; ours is the smaller share anyway.
        return Machine(memory, cores, disk, "Apple silicon", int(memory * MEMORY_SHARE))
    name, gpu_memory = _nvidia()
    return Machine(memory, cores, disk, name, gpu_memory)


def _nvidia() -> tuple[str, int]:
    """Return the largest NVIDIA GPU's name and memory (bytes), or ("", 0)."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return "", 0
    query = [program, "--query-gpu=memory.total,name", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(
            query, capture_output=True, text=True, timeout=NVIDIA_SMI_SECONDS, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return "", 0
    found = [line.partition(",") for line in split_lines(said)]
    gpus = [(int(mib), name.strip()) for mib, _, name in found if mib.strip().isdecimal()]
    if not gpus:
        return "", 0
    mib, name = max(gpus)
    return name, mib * MIB


@dataclass(frozen=True, slots=True)
class Advice:
    """A model for a role. `reason` is a sentence for a person; `available` is False when only the
    hub has it and it is not here yet, and `otherwise` then names one that can be had without."""

    role: str
    entry: ModelEntry
    installed: bool
    reason: str
    otherwise: str = ""


def recommend(catalog: Catalog, machine: Machine) -> list[Advice]:
    """Return the best model for each role that this machine carries; a role that none fits is left
    out."""
    installed = {entry.name for entry in catalog.installed()}
    return [
        advice
        for role in ROLES
        if (advice := _advise(role, catalog, machine, installed)) is not None
    ]


def _advise(role: str, catalog: Catalog, machine: Machine, installed: set[str]) -> Advice | None:
    fitting = [
        entry
        for entry in catalog.entries.values()
        if role in entry.roles
        and entry.preferred
        and machine.carries(entry, role)
        and (entry.name in installed or _disk_bytes(entry) <= machine.free_disk)
    ]
    if not fitting:
        return None
    best = max(fitting, key=lambda entry: rank(entry, role))
    offline = [entry for entry in fitting if not entry.hub_only]
    otherwise = ""
    if best.hub_only and best.name not in installed and offline:
        otherwise = max(offline, key=lambda entry: rank(entry, role)).name
    reason = " ".join(_reasons(best, role, machine))
    return Advice(role, best, best.name in installed, reason, otherwise)


def rank(entry: ModelEntry, role: str) -> tuple[int, int, int]:
    """Return a key for the role, higher for better, among models that the machine carries.

    For `complete` a base model that fills in the middle is best: the instruct model of the same
    size fills in noticeably worse. Next is any model that fills in, then one that perhaps does. For
    `chat` it is a model for code. Within each kind the larger one is better.
    """
    infilling = 0 if not entry.fills_in else 1 if entry.fim == FIM_AUTO else 2
    if role == "complete":
        return (infilling, int(not entry.instruct), entry.parameters_m)
    if role == "edit":
        return (0, 0, entry.parameters_m)
    return (int(entry.instruct), infilling, entry.parameters_m)


def _disk_bytes(entry: ModelEntry) -> int:
    """Return the bytes that the file takes on the disk; an upper bound where only the hub knows
    it."""
    return entry.bytes or entry.memory_mb * MIB


def _reasons(entry: ModelEntry, role: str, machine: Machine) -> Iterator[str]:
    if role == "edit":
        yield "Trained to predict the next edit."
    elif role == "complete":
        if entry.fills_in:
            kind = "instruct" if entry.instruct else "base"
            yield f"A {kind} model that fills in the middle."
        else:
            yield "It fits, but completes from the text before the cursor alone."
    else:
        yield "An instruct model for code." if entry.fills_in else "An instruct model."
    limit = machine.limit(role)
    speed = f"up to {limit / 1000:g} billion weights answer in time"
    yield f"On this machine ({machine.words()}) {speed}, within {megabytes(machine.budget)}."
    if entry.hub_only:
        yield "Only the Hugging Face hub has it."
