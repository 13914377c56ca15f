"""Every setting, its default and its meaning.

One `msgspec.Struct` a section; the docstring under a field is what `nearfield config show --docs`,
the README and the editors print. Values are checked by `load`, which falls back to the default of
a bad key and says so. A field marked "user only" is ignored in a workspace's `.nearfield.toml`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, field

from nearfield.types import CHAT_TEMPERATURE

Positive = Annotated[int, Meta(ge=1)]
NonNegative = Annotated[int, Meta(ge=0)]


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """`[completion]`: when and how much is suggested."""

    enabled: bool = True
    """Whether anything is suggested at all."""
    disabled_languages: list[str] = field(default_factory=list[str])
    """Language ids in which nothing is suggested."""
    debounce_ms: NonNegative = 60
    """Wait at most so long after a keystroke before a model is asked: less where it has little to
    read, all of it where keys come fast. A newer keystroke cancels the wait."""
    deadline_ms: Positive = 2500
    """An automatic suggestion that takes longer than this from the keystroke is not shown; after
    two fifths of it, one ends with the line that it has got to."""
    invoked_deadline_ms: Positive = 20000
    """The same for a suggestion that the user asked for by a key."""
    multiline: Literal["auto", "always", "never"] = "auto"
    """Whether a suggestion may have several lines; "auto" decides by the place of the cursor."""
    max_lines: Positive = 12
    """The longest suggestion, in lines."""
    max_tokens: Positive = 128
    """The longest suggestion, in tokens."""
    min_confidence: Annotated[float, Meta(le=0)] = -0.6
    """An automatic suggestion is not shown when the mean log-probability of its tokens is below
    this; -100 never hides one. A suggestion that you ask for by a key is always shown."""
    min_token_confidence: Annotated[float, Meta(le=0)] = -1.0
    """The same for the log-probability of its least likely token; the lines above that token are
    shown where they stand by themselves."""
    prefix_lines: Positive = 256
    """At most this many lines above the cursor are shown to the model."""
    suffix_lines: NonNegative = 64
    """At most this many lines below the cursor are shown to the model."""
    next_edit: bool = True
    """Whether it is offered to change the other places too, after a name or a function's parameters
    were changed at one, or after two lines were changed alike."""
    record: bool = True
    """Whether it is counted, on this machine alone, how fast suggestions come and how many are
    taken, for `nearfield stats`; never any code."""
    popup: Literal["auto", "always", "never"] = "auto"
    """Whether suggestions also appear in the editor's completion list; "auto": where the editor has
    no ghost text."""


class Hover(msgspec.Struct, frozen=True, kw_only=True):
    """`[hover]`: what is said of the code under the pointer."""

    enabled: bool = True
    """Whether hovers are answered at all."""
    facts: bool = True
    """Whether they tell where a name is defined, what it looks like and how often it is used; turn
    it off where another language server says so already."""
    explain: bool = True
    """Whether a model explains what is there."""
    wait_ms: NonNegative = 300
    """A hover waits at most this long for its explanation; one that comes later is shown the next
    time."""
    prepare: bool = True
    """Whether the explanation of what the cursor rests on is prepared while nobody types, by models
    of this machine alone."""


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """`[engine]`: the embedded engine (user only)."""

    enabled: bool = True
    """Whether the embedded engine may be started."""
    threads: NonNegative = 0
    """CPU threads; 0 takes the physical cores."""
    gpu_layers: Annotated[int, Meta(ge=-1)] = -1
    """Layers kept on a GPU when the build has one; -1 takes all that fit, 0 none."""
    context_size: Annotated[int, Meta(ge=512)] = 8192
    """Tokens that the completion lane can hold, over all recently used documents."""
    chat_context_size: Annotated[int, Meta(ge=512)] = 4096
    """Tokens that one chat, action or hover can hold."""
    memory_limit_mb: NonNegative = 0
    """Refuse to load a model that would need more than this (MiB); 0 takes three quarters of the
    machine's memory."""
    temperature: Annotated[float, Meta(ge=0, le=2)] = CHAT_TEMPERATURE
    """How freely chats choose their words; 0 always takes the likeliest. Completions always do."""
    idle_unload_minutes: NonNegative = 30
    """Give the model's memory back after this long without a request, also that of a server which
    Nearfield started; 0 never does."""
    keep_prompts_mb: NonNegative = 256
    """What the model has read of the files edited last is kept on disk, in so many MiB, so that it
    need not read them again after a restart. It holds code, readable by you alone; 0 keeps
    nothing."""
    on_battery: Literal["save", "ignore"] = "save"
    """On a laptop's battery: "save" prepares nothing that nobody has asked for (no idle prefill, no
    indexing), "ignore" works as on the mains."""


class Models(msgspec.Struct, frozen=True, kw_only=True):
    """`[models]`: a catalogue name, or the path of a GGUF file, for each role of the embedded
    engine (user only). Empty: the best one that is on this machine."""

    complete: str = ""
    """Fills in the middle."""
    edit: str = ""
    """Predicts next edits. Empty: the same model as `complete` when it can, else a model for this
    that is on this machine, else none."""
    chat: str = ""
    """Explains, fixes, chats. Empty: the same model as `complete` when it can chat."""


class ProviderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[providers.NAME]`: one more way to reach a model (user only)."""

    kind: str
    """Which class serves it: "scripted", "llama_server", "ollama", "openai_compatible",
    "anthropic", or the name of an installed provider plugin."""
    model: str = ""
    """The model to ask for, in that server's own words."""
    base_url: str = ""
    """Where the server listens; empty takes the kind's usual address."""
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    """Further settings of that kind; each provider's module documents its own."""


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """`[routing]`: which model answers what (user only)."""

    strategy: Literal["local_only", "local_first", "hybrid", "cloud_only"] = "local_only"
    """Whether a model outside this machine may be considered at all."""
    roles: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """For a role (complete, edit, fast, code, large, review, embed) the providers to try, in order.
    A role that is not named takes "embedded" first, then every other provider that can do it."""
    tasks: dict[str, str] = field(default_factory=dict[str, str])
    """For a task (complete, edit, explain, document, snippet, code, fix, refactor, test, review,
    chat) the role that does it, where it shall not be the usual one."""
    escalate: Literal["suggest", "ask", "auto"] = "suggest"
    """When a local answer is not good enough: "suggest" keeps it and offers the cloud beside it,
    "ask" waits for a yes or no, "auto" goes on by itself where this workspace has consented."""
    ask_timeout_s: Positive = 20
    """A question that is not answered within this counts as no."""
    complex_from: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """With "hybrid", a task whose score is at least this goes to the cloud first; 0 takes the
    calibrated default."""
    min_logprob: Annotated[float, Meta(le=0)] = -2.0
    """A local answer whose tokens' mean log-probability is below this is not good enough."""
    breaker_failures: Positive = 3
    """A provider that failed this often in a row is left alone for a while."""
    breaker_seconds: Positive = 10
    """How long the first such pause is; it doubles each time, up to five minutes."""


class Privacy(msgspec.Struct, frozen=True, kw_only=True):
    """`[privacy]`: what may leave the machine, once the user has allowed that anything may."""

    withhold: list[str] = field(default_factory=list[str])
    """Patterns as in `.gitignore`, besides the built-in ones (.env, keys, credentials …): matching
    files never enter a prompt for a provider outside this machine. A workspace may add some."""
    redact: list[str] = field(default_factory=list[str])
    """Regular expressions of RE2 (no lookaround, no backreferences), besides the built-in ones:
    what they match is replaced before sending. With a group, only the group is (user only)."""
    keep_sent: bool = False
    """Whether the egress ledger keeps the redacted text that was sent, and not only its hash (user
    only)."""


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """`[budget]`: what may be spent, in US dollars, by local date; 0 is no limit (user only)."""

    daily_soft: Annotated[float, Meta(ge=0)] = 0.0
    """From here on nothing that costs is asked without a question."""
    daily_hard: Annotated[float, Meta(ge=0)] = 0.0
    """A request that could pass this is not sent, nor one whose price is unknown."""
    monthly_soft: Annotated[float, Meta(ge=0)] = 0.0
    """As `daily_soft`, for the calendar month."""
    monthly_hard: Annotated[float, Meta(ge=0)] = 0.0
    """As `daily_hard`, for the calendar month."""
    prices: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    """For a model's name the dollars for a million tokens [read, written], where the price list
    does not know it; [0, 0] for a server of your own."""
    compare_with: str = "claude-sonnet-5"
    """The model at whose price `nearfield stats` values what local models answered."""


class Cache(msgspec.Struct, frozen=True, kw_only=True):
    """`[cache]`: answers kept on disk, so that nothing is computed twice (user only)."""

    enabled: bool = True
    """Whether answers to chats, explanations and actions are kept."""
    max_mb: Positive = 50
    """The most that it may take on disk, in MiB; the oldest go first."""
    max_age_hours: Positive = 168
    """An answer older than this is not used."""


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """`[network]`: the way to other machines. Proxies are those of the environment: `HTTPS_PROXY`,
    `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`."""

    ca_file: str = ""
    """A file of certificates (PEM) that are trusted besides the usual ones, such as that of your
    company's own authority. User only."""


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """`[log]`: what goes to standard error. Code never does."""

    level: Literal["error", "warning", "info", "debug"] = "info"
    """How much is logged."""


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """`[files]`: which documents Nearfield works on."""

    exclude: list[str] = field(default_factory=list[str])
    """Patterns as in `.gitignore`; matching files get no suggestions and enter no prompt."""
    max_bytes: Positive = 2_000_000
    """Documents larger than this get no suggestions."""


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """`[index]`: what is known of the workspace's other files."""

    enabled: bool = True
    """Whether the workspace is indexed at all."""
    exclude: list[str] = field(default_factory=list[str])
    """Patterns as in `.gitignore`, besides the ignore files: matching files are not indexed. A
    workspace may add some."""
    max_file_bytes: Positive = 1_000_000
    """Larger files are not indexed."""
    vectors: bool = True
    """Whether the meaning of code is indexed too, which takes processor time in the background and
    half a kilobyte for each piece of code. Without it, names and words are found."""
    on_battery: bool = False
    """Whether vectors are made while the machine runs on its battery (user only)."""
    store: str = ""
    """A PostgreSQL database that your team shares, "postgresql://USER@HOST/DATABASE": workspaces
    that it holds are not indexed here but looked up there (user only). Words, names and paths of
    the code are in it, and what you ask goes to it. Empty: everything stays on this machine."""
    role: Literal["read", "build"] = "read"
    """What `nearfield index` does with the shared index: "read" it, or "build" it, which sends the
    workspace there; one machine in CI does that (user only). Editors only ever read."""
    name: str = ""
    """The workspace's name in the shared index, the same for everybody. Empty: where the
    repository's `origin` is, such as "github.com/team/shop" (user only)."""


class Chat(msgspec.Struct, frozen=True, kw_only=True):
    """`[chat]`: what a model may do in a conversation. A workspace may only take away."""

    functions: list[str] = field(
        default_factory=lambda: [
            "readFile",
            "writeFile",
            "listDirectory",
            "searchFiles",
            "searchInFiles",
            "getFileInfo",
            "createDirectory",
            "semanticSearch",
            "getDiagnostics",
            "getDefinition",
        ]
    )
    """The functions that a model may call. Not among them by default: "deleteFileOrDir",
    "executeShell", and those of other installed packages."""
    shell_commands: list[str] = field(default_factory=list[str])
    """What "executeShell" may start, each by its first words: "pytest", "git status". You are asked
    every time nevertheless (user only)."""
    shell_timeout_s: Positive = 60
    """A command that takes longer is ended, with all that it has started."""
    max_rounds: Positive = 12
    """How often a model may call functions before it must answer."""
    timeout_s: Positive = 600
    """The longest that one answer may take, with all its calls."""
    max_files: Positive = 40
    """At most this many files are read for one answer."""
    max_bytes: Positive = 400_000
    """At most this much is read for one answer."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """All settings."""

    completion: Completion = field(default_factory=Completion)
    hover: Hover = field(default_factory=Hover)
    engine: Engine = field(default_factory=Engine)
    models: Models = field(default_factory=Models)
    routing: Routing = field(default_factory=Routing)
    providers: dict[str, ProviderSettings] = field(default_factory=dict[str, ProviderSettings])
    privacy: Privacy = field(default_factory=Privacy)
    budget: Budget = field(default_factory=Budget)
    cache: Cache = field(default_factory=Cache)
    files: Files = field(default_factory=Files)
    index: Index = field(default_factory=Index)
    chat: Chat = field(default_factory=Chat)
    network: Network = field(default_factory=Network)
    log: Log = field(default_factory=Log)
