"""Every setting: its type, its default, what a workspace may do to it, and its meaning.

One `msgspec.Struct` a section. A field's `Annotated` holds, beside the type, a rule of `restrict`
(only the user may set a field without one). It also holds the description that `nearfield config
show --docs`, the documentation and the editors print. Values are checked by `load`, which falls
back to the default of a bad key and reports it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, field

from nearfield.config.restrict import (
    only_add,
    only_add_patterns,
    only_local,
    only_lower,
    only_off,
    only_raise,
    only_remove,
    only_towards,
)
from nearfield.types import CHAT_TEMPERATURE

EMBEDDED = "embedded"
"""The provider of the embedded engine: always there, and no kind to configure."""
ROLES = ("complete", "edit", "fast", "code", "large", "review")

Positive = Annotated[int, Meta(ge=1)]
NonNegative = Annotated[int, Meta(ge=0)]
Strategy = Literal["local_only", "local_first", "hybrid", "cloud_only"]
Escalate = Literal["suggest", "ask", "auto"]
TaskName = Literal[
    "complete", "edit", "explain", "document", "snippet", "code", "fix", "refactor", "test",
    "review", "chat",
]  # fmt: skip
_HOURS = r"^(([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d)?$"


def about(text: str) -> Meta:
    """Return the description of a setting, on one line."""
    return Meta(description=" ".join(text.split()))


# One setting a paragraph, which the formatter would spread over three times the lines.
# fmt: off


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """`[completion]`: when and how much is suggested."""

    enabled: Annotated[bool, only_off, about("""
        Whether anything is suggested at all.""")] = True
    disabled_languages: Annotated[list[str], only_add, about("""
        Language ids in which nothing is suggested.""")] = field(default_factory=list[str])
    debounce_ms: Annotated[NonNegative, only_raise, about("""
        Wait at most this long after a keystroke before a model is asked: less where it has little
        to read, all of it where keys come fast. A newer keystroke cancels the wait.""")] = 60
    deadline_ms: Annotated[Positive, only_lower, about("""
        An automatic suggestion that takes longer than this from the keystroke is not shown; after
        a fifth of it, one ends with the line that it has got to.""")] = 2500
    invoked_deadline_ms: Annotated[Positive, only_lower, about("""
        The same for a suggestion that the user asked for by a key.""")] = 20000
    multiline: Annotated[
        Literal["auto", "always", "never"], only_towards("always", "auto", "never"), about("""
        Whether a suggestion may have several lines; "auto" decides by the place of the
        cursor.""")] = "auto"
    max_lines: Annotated[Positive, only_lower, about("""
        The longest suggestion, in lines.""")] = 12
    max_tokens: Annotated[Positive, only_lower, about("""
        The longest suggestion, in tokens.""")] = 128
    min_confidence: Annotated[float, Meta(le=0), only_raise, about("""
        An automatic suggestion is not shown when the mean log-probability of its tokens is below
        this; -100 never hides one. A suggestion that you ask for by a key is always shown.
        """)] = -0.6
    min_token_confidence: Annotated[float, Meta(le=0), only_raise, about("""
        The same for the log-probability of its least likely token, unless all others are nearly
        certain; the lines above that token are shown where they stand by themselves, else the
        beginning of the line.""")] = -0.3
    prefix_lines: Annotated[Positive, only_lower, about("""
        At most this many lines above the cursor are shown to the model.""")] = 256
    suffix_lines: Annotated[NonNegative, only_lower, about("""
        At most this many lines below the cursor are shown to the model.""")] = 64
    next_edit: Annotated[bool, only_off, about("""
        Whether it is offered to change the other places too, after a name or a function's
        parameters were changed at one, or after two lines were changed alike.""")] = True
    acp_next_edit: Annotated[bool, only_off, about("""
        Whether `nearfield acp` offers next edits: this part of the Agent Client Protocol may still
        change.""")] = False
    record: Annotated[bool, only_off, about("""
        Whether it is counted, on this machine alone, how fast suggestions come and how many are
        taken, for `nearfield stats`; never any code.""")] = True
    popup: Annotated[
        Literal["auto", "always", "never"], only_towards("always", "auto", "never"), about("""
        Whether suggestions also appear in the editor's completion list; "auto": where the editor
        has no ghost text.""")] = "auto"


class Hover(msgspec.Struct, frozen=True, kw_only=True):
    """`[hover]`: information about the code under the pointer."""

    enabled: Annotated[bool, only_off, about("""
        Whether hovers are answered at all.""")] = True
    facts: Annotated[bool, only_off, about("""
        Whether they tell where a name is defined, what it looks like and how often it is used;
        turn it off where another language server says so already.""")] = True
    explain: Annotated[bool, only_off, about("""
        Whether a model explains what is there.""")] = True
    wait_ms: Annotated[NonNegative, only_lower, about("""
        A hover waits at most this long for its explanation; one that comes later is shown the next
        time.""")] = 300
    prepare: Annotated[bool, only_off, about("""
        Whether the explanation of what the cursor rests on is prepared while nobody types, by
        the embedded engine alone, which leaves it for a completion.""")] = True


class Engine(msgspec.Struct, frozen=True, kw_only=True):
    """`[engine]`: the embedded engine (user only)."""

    enabled: Annotated[bool, about("""
        Whether the embedded engine may be started.""")] = True
    threads: Annotated[NonNegative, about("""
        CPU threads; 0 takes the physical cores.""")] = 0
    gpu_layers: Annotated[int, Meta(ge=-1), about("""
        Layers kept on a GPU when the build has one; -1 takes all that fit, 0 none.""")] = -1
    context_size: Annotated[int, Meta(ge=512), about("""
        Tokens that the completion lane can hold, over all recently used documents.""")] = 8192
    chat_context_size: Annotated[int, Meta(ge=512), about("""
        Tokens that one chat, action or hover can hold.""")] = 4096
    memory_limit_mb: Annotated[NonNegative, about("""
        What the models of the engine may take together (MiB): for one that is asked others are
        unloaded, the chat model first, and one that needs more alone is refused. 0 takes three
        quarters of the machine's memory, and no more than is free.""")] = 0
    temperature: Annotated[float, Meta(ge=0, le=2), about("""
        How freely chats choose their words; 0 always takes the likeliest. Completions always
        do.""")] = CHAT_TEMPERATURE
    idle_unload_minutes: Annotated[NonNegative, about("""
        Give the model's memory back after this long without a request, also that of a server which
        Nearfield started; 0 never does.""")] = 30
    keep_prompts_mb: Annotated[NonNegative, only_lower, about("""
        What the model has read of the files edited last, and of chats, is kept on disk, in so many
        MiB, so that it need not read them again after a restart. It holds code, readable by you
        alone; 0 keeps nothing.""")] = 256
    on_battery: Annotated[Literal["save", "ignore"], only_towards("ignore", "save"), about("""
        On a laptop's battery: "save" prepares nothing that nobody has asked for (no idle prefill,
        no indexing), "ignore" works as on the mains.""")] = "save"


class Models(msgspec.Struct, frozen=True, kw_only=True):
    """`[models]`: a catalogue name, or the path of a GGUF file, for each role of the embedded
    engine (user only). Empty: the best one that is on this machine."""

    complete: Annotated[str, about("""
        Fills in the middle.""")] = ""
    edit: Annotated[str, about("""
        Predicts next edits. Empty: the same model as `complete` when it can, else a model for this
        that is on this machine, else none.""")] = ""
    chat: Annotated[str, about("""
        Explains, fixes, chats. Empty: the same model as `complete` when it can chat.""")] = ""


class ProviderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[providers.NAME]`: one more way to reach a model (user only)."""

    kind: Annotated[str, about("""
        Which class serves it: "scripted", "llama_server", "ollama", "openai_compatible",
        "anthropic", "openvino", "onnx", or the name of an installed provider plugin.""")]
    model: Annotated[str, about("""
        The model to ask for, in that server's own words.""")] = ""
    base_url: Annotated[str, about("""
        Where the server listens; empty takes the kind's usual address.""")] = ""
    options: Annotated[dict[str, Any], about("""
        Further settings of that kind; docs/providers.md lists them.
        """)] = field(default_factory=dict[str, Any])


class RoutingRule(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """An entry of `[[routing.rules]]` (user only). Every condition that it names must hold."""

    use: Annotated[list[str], Meta(min_length=1), about("""
        Who answers where it holds: one role, or providers in the order in which they are
        tried.""")]
    name: Annotated[str, about("""
        What `nearfield route explain` calls it; empty: its number.""")] = ""
    tasks: Annotated[list[TaskName], about("""
        Tasks, as in `routing.tasks`.""")] = field(default_factory=list[TaskName])
    languages: Annotated[list[str], about("""
        Language ids, such as "python".""")] = field(default_factory=list[str])
    paths: Annotated[list[str], about("""
        Patterns as in `.gitignore`, for the file that the request is about.
        """)] = field(default_factory=list[str])
    min_chars: Annotated[NonNegative, about("""
        The request has at least this many characters.""")] = 0
    max_chars: Annotated[NonNegative, about("""
        The request has at most this many characters; 0 is no limit.""")] = 0
    complex: Annotated[bool | None, about("""
        Whether the task is complex, as with "hybrid".""")] = None
    hours: Annotated[str, Meta(pattern=_HOURS), about("""
        A time of the day, such as "22:00-06:30"; the end is not in it.""")] = ""
    on_battery: Annotated[bool | None, about("""
        Whether the machine runs on its battery.""")] = None
    min_load: Annotated[float, Meta(ge=0), about("""
        The processors' load of the last minute is at least this, 1.0 for all of them.""")] = 0.0
    min_spent: Annotated[float, Meta(ge=0), about("""
        At least this many dollars were spent today.""")] = 0.0


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """`[routing]`: which model answers what (user only)."""

    strategy: Annotated[Strategy, only_local, about("""
        Whether a model outside this machine may be considered at all.""")] = "local_only"
    roles: Annotated[dict[str, list[str]], about("""
        For a role (complete, edit, fast, code, large, review) the providers to try, in
        order. A role that is not named takes "embedded" first, then every other that can do
        it.""")] = field(default_factory=dict[str, list[str]])
    tasks: Annotated[dict[str, str], about("""
        For a task (complete, edit, explain, document, snippet, code, fix, refactor, test, review,
        chat) the role that does it, where it shall not be the usual one.
        """)] = field(default_factory=dict[str, str])
    rules: Annotated[list[RoutingRule], about("""
        Rules of your own, before roles and tasks: the first that holds says who answers.
        docs/routing.md lists the conditions.""")] = field(default_factory=list[RoutingRule])
    pass_over_busy: Annotated[bool, about("""
        Whether a local provider that answers something else, or was slow a moment ago, waits for
        the next local one of its role; never for completions and next edits.""")] = True
    escalate: Annotated[Escalate, only_towards("auto", "ask", "suggest"), about("""
        When a local answer is not good enough: "suggest" keeps it and offers the cloud beside it,
        "ask" waits for a yes or no, "auto" goes on by itself where this workspace has
        consented.""")] = "suggest"
    ask_timeout_s: Annotated[Positive, about("""
        A question that is not answered within this counts as no.""")] = 20
    complex_chars: Annotated[Positive, about("""
        With "hybrid", a task whose question has at least this many characters goes to the cloud
        first.""")] = 1000
    min_logprob: Annotated[float, Meta(le=0), about("""
        A local answer whose tokens' mean log-probability is below this is not good enough.
        """)] = -2.0
    breaker_failures: Annotated[Positive, about("""
        A provider that failed this often in a row is left alone for a while.""")] = 3
    breaker_seconds: Annotated[Positive, about("""
        How long the first such pause is; it doubles each time, up to five minutes.""")] = 10


class Privacy(msgspec.Struct, frozen=True, kw_only=True):
    """`[privacy]`: what may leave the machine, once the user has allowed that anything may."""

    withhold: Annotated[list[str], only_add_patterns, about("""
        Patterns as in `.gitignore`, besides the built-in ones (.env, keys, credentials …):
        matching files never enter a prompt for a provider outside this machine. A workspace may
        add some.""")] = field(default_factory=list[str])
    redact: Annotated[list[str], about("""
        Regular expressions of RE2 (no lookaround, no backreferences), besides the built-in ones:
        what they match is replaced before sending. With a group, only the group is (user
        only).""")] = field(default_factory=list[str])
    keep_sent: Annotated[bool, about("""
        Whether the egress ledger keeps the redacted text that was sent, and not only its hash
        (user only).""")] = False


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """`[provenance]`: a record of where code came from, on this machine alone."""

    enabled: Annotated[bool, only_off, about("""
        Whether it is recorded which lines a model suggested and you accepted, as keyed hashes, for
        `nearfield provenance`; never any code.""")] = True


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """`[budget]`: what may be spent, in US dollars, by local date; 0 is no limit (user only)."""

    daily_soft: Annotated[float, Meta(ge=0), about("""
        From here on nothing that costs is asked without a question.""")] = 0.0
    daily_hard: Annotated[float, Meta(ge=0), about("""
        A request that could pass this is not sent, nor one whose price is unknown.""")] = 0.0
    monthly_soft: Annotated[float, Meta(ge=0), about("""
        As `daily_soft`, for the calendar month.""")] = 0.0
    monthly_hard: Annotated[float, Meta(ge=0), about("""
        As `daily_hard`, for the calendar month.""")] = 0.0
    prices: Annotated[dict[str, list[float]], about("""
        For a model's name the dollars for a million tokens [read, written], where the price list
        does not know it; [0, 0] for a server of your own.
        """)] = field(default_factory=dict[str, list[float]])
    compare_with: Annotated[str, about("""
        The model at whose price `nearfield stats` values what local models answered.
        """)] = "claude-sonnet-5"


class Cache(msgspec.Struct, frozen=True, kw_only=True):
    """`[cache]`: answers kept on disk, so that nothing is computed twice (user only)."""

    enabled: Annotated[bool, about("""
        Whether answers to chats, explanations and actions are kept.""")] = True
    max_mb: Annotated[Positive, about("""
        The most that it may take on disk, in MiB; the oldest go first.""")] = 50
    max_age_hours: Annotated[Positive, about("""
        An answer older than this is not used.""")] = 168


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """`[network]`: connections to other machines. Proxies come from the environment: `HTTPS_PROXY`,
    `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.
    """

    ca_file: Annotated[str, about("""
        A file of certificates (PEM) that are trusted besides the usual ones, such as that of your
        company's own authority. User only.""")] = ""


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """`[log]`: messages on standard error. Code is never logged."""

    level: Annotated[Literal["error", "warning", "info", "debug"], about("""
        How much is logged.""")] = "info"


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """`[files]`: which documents Nearfield works on."""

    exclude: Annotated[list[str], only_add_patterns, about("""
        Patterns as in `.gitignore`; matching files get no suggestions and enter no prompt.
        """)] = field(default_factory=list[str])
    max_bytes: Annotated[Positive, only_lower, about("""
        Documents larger than this get no suggestions.""")] = 2_000_000
    project_rules: Annotated[bool, only_off, about("""
        Whether chats, actions and reviews show a model what the repository says about its style, in
        AGENTS.md or a file like it.""")] = True


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """`[index]`: what is known of the workspace's other files."""

    enabled: Annotated[bool, only_off, about("""
        Whether the workspace is indexed at all.""")] = True
    exclude: Annotated[list[str], only_add_patterns, about("""
        Patterns as in `.gitignore`, besides the ignore files: matching files are not indexed. A
        workspace may add some.""")] = field(default_factory=list[str])
    max_file_bytes: Annotated[Positive, only_lower, about("""
        Larger files are not indexed.""")] = 1_000_000
    vectors: Annotated[bool, only_off, about("""
        Whether the meaning of code is indexed too, which takes processor time in the background
        and half a kilobyte for each piece of code. Without it, names and words are found.
        """)] = True
    on_battery: Annotated[bool, about("""
        Whether vectors are made while the machine runs on its battery (user only).""")] = False
    store: Annotated[str, about("""
        A PostgreSQL database that your team shares, "postgresql://USER@HOST/DATABASE": workspaces
        that it holds are not indexed here but looked up there (user only). Words, names and paths
        of the code are in it, and what you ask goes to it. Empty: everything stays on this
        machine.""")] = ""
    role: Annotated[Literal["read", "build"], about("""
        What `nearfield index` does with the shared index: "read" it, or "build" it, which sends
        the workspace there; one machine in CI does that (user only). Editors only ever read.
        """)] = "read"
    name: Annotated[str, about("""
        The workspace's name in the shared index, the same for everybody. Empty: where the
        repository's `origin` is, such as "github.com/team/shop" (user only).""")] = ""


class ToolServer(msgspec.Struct, frozen=True, kw_only=True):
    """`[chat.mcp.NAME]`: a server of the Model Context Protocol, whose tools chats may be given
    (user only)."""

    command: Annotated[list[str], about("""
        The program to start and its arguments; it speaks over standard input and output.
        """)] = field(default_factory=list[str])
    variables: Annotated[list[str], about("""
        Names of the environment variables that the program gets, besides those that every program
        needs.""")] = field(default_factory=list[str])
    url: Annotated[str, about("""
        The address of a server that runs already, instead of `command`: "http://127.0.0.1:8000/mcp".
        One outside this machine needs your consent, as a cloud does.""")] = ""
    token_env: Annotated[str, about("""
        The environment variable that holds the token for `url`.""")] = ""
    timeout_s: Annotated[Positive, about("""
        The longest that one call may take.""")] = 60


class Chat(msgspec.Struct, frozen=True, kw_only=True):
    """`[chat]`: what a model may do in a conversation. A workspace may only take away."""

    functions: Annotated[list[str], only_remove, about("""
        The functions that a model may call. Not among them by default: "deleteFileOrDir",
        "executeShell", "findSymbol", "findReferences", "getOutline", those of other installed
        packages, and the tools of `chat.mcp`, as "NAME__TOOL".""")] = field(
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
    mcp: Annotated[dict[str, ToolServer], about("""
        Servers of the Model Context Protocol, by a name of your choice (user only). Each of their
        tools that a model may call is named in `chat.functions`.
        """)] = field(default_factory=dict[str, ToolServer])
    shell_commands: Annotated[list[str], about("""
        What "executeShell" may start, each by its first words: "pytest", "git status". You are
        asked every time nevertheless (user only).""")] = field(default_factory=list[str])
    shell_timeout_s: Annotated[Positive, only_lower, about("""
        A command that takes longer is ended, with all that it has started.""")] = 60
    max_rounds: Annotated[Positive, only_lower, about("""
        How often a model may call functions before it must answer.""")] = 12
    timeout_s: Annotated[Positive, only_lower, about("""
        The longest that one answer may take, with all its calls.""")] = 600
    max_files: Annotated[Positive, only_lower, about("""
        At most this many files are read for one answer.""")] = 40
    max_bytes: Annotated[Positive, only_lower, about("""
        At most this much is read for one answer.""")] = 400_000
    keep_days: Annotated[NonNegative, only_lower, about("""
        Chats are kept on this machine for this many days, without keys and readable by you alone,
        so that they can be resumed; 0 keeps none.""")] = 30
    keep_mb: Annotated[Positive, about("""
        The most that kept chats take on disk, in MiB; the oldest go first (user only).""")] = 100
    thinking_tokens: Annotated[NonNegative, only_lower, about("""
        How long a reasoning model may think before it answers in a chat; then it is asked again
        without. 0 turns thinking off where the model can. It is always off elsewhere.""")] = 1024


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """All settings."""

    completion: Completion = field(default_factory=Completion)
    hover: Hover = field(default_factory=Hover)
    engine: Engine = field(default_factory=Engine)
    models: Models = field(default_factory=Models)
    routing: Routing = field(default_factory=Routing)
    providers: dict[str, ProviderSettings] = field(default_factory=dict[str, ProviderSettings])
    privacy: Privacy = field(default_factory=Privacy)
    provenance: Provenance = field(default_factory=Provenance)
    budget: Budget = field(default_factory=Budget)
    cache: Cache = field(default_factory=Cache)
    files: Files = field(default_factory=Files)
    index: Index = field(default_factory=Index)
    chat: Chat = field(default_factory=Chat)
    network: Network = field(default_factory=Network)
    log: Log = field(default_factory=Log)
