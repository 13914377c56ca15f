"""Checks of `nearfield doctor`: one function a check, each with what to do about it."""

from __future__ import annotations

import asyncio
import importlib.metadata
import itertools
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import nearfield
from nearfield.errors import CatalogError, ConfigError, DownloadFailed, NearfieldError
from nearfield.features.routed import routed
from nearfield.files.lines import split_lines
from nearfield.routing.plan import NO_LOCAL, UNASKED, WITHOUT_CLOUD

if TYPE_CHECKING:
    from nearfield.catalog.choice import ModelChoice
    from nearfield.catalog.models import Catalog
    from nearfield.config.load import Loaded
    from nearfield.config.schema import Config
    from nearfield.providers.base import Provider
    from nearfield.routing.router import RoleStatus


class State(StrEnum):
    """Result of a check."""

    OK = "ok"
    NOTE = "note"  # works, could be better
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Check:
    """A line of the report. `todo` says what to do, "" if nothing."""

    name: str
    state: State
    found: str
    todo: str = ""


PROGRAMS = {
    "VS Code": ("code", "codium", "code-insiders", "cursor"),
    "Neovim": ("nvim",),
    "Helix": ("hx", "helix"),
    "Emacs": ("emacs",),
    "Zed": ("zed", "zeditor"),
    "Sublime Text": ("subl",),
    "Kate": ("kate",),
}
"""The commands of each editor that the README has a configuration for. VS Code's are its own and
those of what is made from it; each has a command line of its own."""
MAX_ENTRIES = 5_000
"""Maximum number of a workspace's files and folders examined."""
# Instruction sets that llama.cpp has kernels for, as the kernel and as its build names them. A
# build without one that the processor has is several times slower.
INSTRUCTIONS = {
    "avx2": "AVX2",
    "fma": "FMA",
    "f16c": "F16C",
    "avx512f": "AVX512",
    "avx512_vnni": "AVX512_VNNI",
    "asimddp": "DOTPROD",
    "i8mm": "MATMUL_INT8",
}
# A model server on this machine that has not said how it is by then is not well.
PROBE_SECONDS = 10.0
INSTALL_ENGINE = (
    "An engine compiled for this machine is usually faster, and is asked without HTTP: run"
    ' `pip install "nearfield[local]"` (needs cmake, make and a C++ compiler).'
)
WITHOUT_PROVIDER = (
    "Run `nearfield models pull`, or `nearfield providers add` for a server that runs already."
)
REBUILD = "Run `pip install --force-reinstall --no-cache-dir llama-cpp-python` on this machine."


def installation() -> Check:
    """The versions of Nearfield and Python."""
    found = f"{nearfield.__version__} on Python {platform.python_version()} ({sys.executable})"
    return Check("nearfield", State.OK, found)


def machine(catalog: Catalog) -> Check:
    """Cores, memory, GPU."""
    from nearfield.catalog.recommend import this_machine

    return Check("machine", State.OK, this_machine(catalog).words())


def settings(loaded: Loaded, path: Path) -> Iterator[Check]:
    """The settings file, and each setting that could not be used."""
    found = str(path) if path.is_file() else f"defaults ({path} does not exist)"
    if not loaded.problems:
        yield Check("settings", State.OK, found)
    for problem in loaded.problems:
        todo = f"Correct it in {problem.source}."
        yield Check("settings", State.PROBLEM, str(problem), todo)


def engine(config: Config) -> Check:
    """Report the engine on this machine, and a faster one if there is one."""
    from nearfield.engine.client import installed
    from nearfield.features.assemble import INSTALL
    from nearfield.providers.managed import programs

    if not config.engine.enabled:
        return Check("engine", State.NOTE, "turned off by engine.enabled = false")
    if installed():
        version = importlib.metadata.version("llama-cpp-python")
        return Check("engine", State.OK, f"llama-cpp-python {version}, compiled for this machine")
    if not (found := programs()):
        return Check("engine", State.PROBLEM, "neither compiled nor prebuilt is installed", INSTALL)
    runs = f"llama.cpp's server, which Nearfield starts: {found[0].name} ({found[0].detail})"
    return Check("engine", State.NOTE, runs, INSTALL_ENGINE)


def openvino(config: Config) -> Iterator[Check]:
    """Report the devices that OpenVINO finds, where it is installed."""
    from nearfield.catalog.openvino import devices
    from nearfield.engine.programs import OPENVINO

    if not OPENVINO.installed():
        return
    version = importlib.metadata.version("openvino-genai")
    if not (found := devices()):
        todo = "Run `pip install --force-reinstall openvino-genai`."
        yield Check("openvino", State.NOTE, f"{version} does not say which devices it has", todo)
        return
    words = ", ".join(f"{name} ({full})" if full else name for name, full in found.items())
    used = any(one.kind == "openvino" for one in config.providers.values())
    todo = "" if used or set(found) == {"CPU"} else "`nearfield providers add openvino` uses them."
    yield Check("openvino", State.OK, f"OpenVINO {version} finds {words}", todo)


def build(info: str, gpu: bool, machine_has_gpu: bool, flags: frozenset[str]) -> Check:
    """Compare the instructions that the engine was compiled for with the processor's `flags`."""
    has = [name for flag, name in INSTRUCTIONS.items() if flag in flags]
    missing = [name for name in has if f"{name} = 1" not in info]
    built = [name for name in has if name not in missing]
    found = ", ".join([*built, *(["GPU"] if gpu else [])]) or "no special instructions"
    if missing:
        return Check("engine build", State.NOTE, f"{found}; without {', '.join(missing)}", REBUILD)
    if machine_has_gpu and not gpu:
        todo = "See llama-cpp-python's README for the CMAKE_ARGS of your GPU, and install it again."
        return Check("engine build", State.NOTE, f"{found}; without the GPU", todo)
    return Check("engine build", State.OK, found)


def cpu_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """The processor's instruction sets as Linux names them; empty elsewhere."""
    try:
        lines = split_lines(cpuinfo.read_text())
    except OSError:
        return frozenset()
    words = (line.partition(":") for line in lines)
    return frozenset(
        flag
        for name, _, value in words
        if name.strip() in ("flags", "Features")
        for flag in value.split()
    )


def models(catalog: Catalog) -> Iterator[Check]:
    """The models on disk, each with its checksum verified; damaged ones as problems."""
    for problem in catalog.problems:
        yield Check("models", State.PROBLEM, problem, "Correct your models.toml.")
    for entry in catalog.entries.values():
        try:
            path = catalog.local_path(entry.name)
        except CatalogError as error:
            yield Check("models", State.PROBLEM, error.message, error.hint)
            continue
        if path is not None:
            size = f"{catalog.bytes_here(entry, path) / 1e6:,.0f} MB"
            own = not entry.sha256 and path != catalog.cached_file(entry).file
            state = "whole, of your own" if own else "verified"
            yield Check("models", State.OK, f"{entry.name}, {size}, {state} ({path})")


def role(name: str, config: Config, catalog: Catalog) -> tuple[Check, ModelChoice | None]:
    """Report the model that serves a role."""
    from nearfield.catalog.choice import choose

    try:
        choice = choose(name, config.models, catalog)
    except (CatalogError, ConfigError) as error:
        return Check(f"role {name}", State.PROBLEM, error.message, error.hint), None
    if choice.problem:
        todo = f"Run `nearfield models use {name} auto`, or name a model that is here."
        return Check(f"role {name}", State.NOTE, choice.problem, todo), choice
    return Check(f"role {name}", State.OK, choice.name), choice


async def providers(config: Config, root: Path) -> list[Check]:
    """Return how the configured model servers are, and who answers. Those on this machine are
    asked, others are not: not even a question leaves it unbidden."""
    found: list[Check] = []
    ill: dict[str, str] = {}
    async with routed(config, lambda _: None) as (router, built):
        for name, provider in built.items():
            check = Check(f"provider {name}", State.NOTE, "outside this machine, not asked")
            if not router.is_local(name):
                todo = f"Run `nearfield providers probe {name}` to ask it."
                check = replace(check, todo=todo)
            else:
                check = await _asked(check, provider)
            if check.state is State.PROBLEM:
                ill[name] = check.found
            if name in config.providers:
                found.append(check)
        roles = {role.role: role for role in await router.status(str(root), ill)}
    return [*found, answers(roles["complete"], roles["code"])]


async def _asked(check: Check, provider: Provider) -> Check:
    """Return `check` with how a server on this machine says it is."""
    from nearfield.types import WOULD_ANSWER

    try:
        async with asyncio.timeout(PROBE_SECONDS):
            health = await provider.health()
    except TimeoutError:
        return replace(
            check, state=State.PROBLEM, found="it does not answer", todo="Is it running?"
        )
    except NearfieldError as error:
        return replace(check, state=State.PROBLEM, found=error.message, todo=error.hint)
    state = State.OK if health.state in WOULD_ANSWER else State.PROBLEM
    return replace(check, state=state, found=health.detail or str(health.state))


def answers(complete: RoleStatus, chat: RoleStatus) -> Check:
    """Report the providers of completions and of chats, or why there are none."""
    told = [(what, role) for what, role in (("completions", complete), ("chats", chat))]
    serving = [f"{what} by {role.provider} ({role.model})" for what, role in told if role.provider]
    without = [what for what, role in told if not role.provider]
    if not without:
        return Check("answers", State.OK, ", ".join(serving))
    reasons = dict((chat if "chats" in without else complete).others)
    why = "; ".join(f"{name}: {reason.removesuffix('.')}" for name, reason in reasons.items())
    why = f"nobody serves {' or '.join(without)} ({why or 'no provider is set up'})"
    state = State.NOTE if serving else State.PROBLEM
    unasked = [name for name, reason in reasons.items() if reason == UNASKED]
    todo = WITHOUT_CLOUD if NO_LOCAL in reasons.values() else WITHOUT_PROVIDER
    if unasked:
        todo = f"Run `nearfield consent allow {unasked[0]}`."
    return Check("answers", state, ", ".join([*serving, why]), todo)


def hub(config: Config) -> Check:
    """Report whether models can be fetched, the proxy, and the trusted certificates."""
    from nearfield.catalog.hub import Hub
    from nearfield.network.setting import environ_of

    environ = environ_of(config)
    with Hub(environ) as way:
        try:
            way.reach()
            return Check("hub", State.OK, f"{way.endpoint} answers, {way.words()}")
        except DownloadFailed as error:
            return Check("hub", State.NOTE, f"{error.message} Asked {way.words()}.", error.hint)


def grammars() -> Check:
    """Report the languages whose grammars load; an extra's grammars may be missing."""
    from nearfield.syntax.languages import LANGUAGES, grammar

    broken: list[str] = []
    missing: list[str] = []
    for language in LANGUAGES:
        try:
            grammar(language)
        except ModuleNotFoundError:
            missing.append(language.name)
        except (ImportError, ValueError, AttributeError):
            broken.append(language.name)
    if missing and not broken:
        todo = 'Run `pip install "nearfield[grammars]"` to have these languages too.'
        return Check("grammars", State.NOTE, f"not installed: {', '.join(missing)}", todo)
    if broken:
        todo = "Run `pip install --force-reinstall nearfield`."
        return Check("grammars", State.PROBLEM, f"not loading: {', '.join(broken)}", todo)
    return Check("grammars", State.OK, f"all {len(LANGUAGES)} load")


def ignore_rules(config: Config, root: Path) -> Check:
    """Report whether ignore rules leave any file of the workspace. Below a repository that ignores
    all, as one for settings does, nothing would be indexed without a visible cause.
    """
    from nearfield.index.builder import BuildReport, left_out
    from nearfield.index.files import Tree

    tree = Tree(root, (*config.files.exclude, *config.index.exclude), config.index.max_file_bytes)
    report = BuildReport()
    for entry in itertools.islice(tree.walk(), MAX_ENTRIES):
        if entry.reason:
            report.skip(entry.reason)
        else:
            report.files += 1
    report.settle()
    if why := left_out(report.files, report.skipped):
        todo = "Correct that file, or bring files back with `!` in it; `nearfield index --explain"
        return Check("ignore rules", State.NOTE, why, f"{todo} FILE` says what holds for one.")
    return Check(
        "ignore rules",
        State.OK,
        "they leave files to be indexed" if report.files else "no files here",
    )


def shared_index(config: Config, root: Path) -> Check:
    """The index that a team shares: whether it can be read, and holds this workspace."""
    from nearfield.index.interface import IndexUnusable, NotShared
    from nearfield.index.shared import shared_of, stores_of

    shared = shared_of(root, config)
    if shared is None:
        found = f"{root} has no `origin`, so no shared index is looked for"
        return Check("shared index", State.NOTE, found, "Give it a name in index.name.")
    try:
        reader = stores_of(shared).reader(shared)
    except NotShared as error:
        found = f"{error.message} It is indexed on this machine."
        return Check("shared index", State.NOTE, found, error.hint)
    except IndexUnusable as error:
        return Check("shared index", State.PROBLEM, error.message, error.hint)
    counts = reader.counts()
    reader.close()
    found = f"{shared.name} in {shared.where}: {counts.files} files, {counts.vectors} vectors"
    return Check("shared index", State.OK, found)


def editors() -> Check:
    """Report the editors on this machine's PATH."""
    found = [name for name, commands in PROGRAMS.items() if any(map(shutil.which, commands))]
    if not found:
        return Check("editors", State.NOTE, "none found on PATH")
    return Check("editors", State.OK, ", ".join(found), "")
