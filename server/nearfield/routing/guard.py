"""The decision whether a request may leave this machine, and the record of it.

`admit` is where consent, withheld files, redaction, the budget and the ledger come together; it
returns only when the entry is on the disk. `egress.Egress` calls it before every request and has no
other way out. Everything here blocks; callers go through a thread.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import msgspec

from nearfield.config.folders import FolderConfigs
from nearfield.config.provider_names import provider_of
from nearfield.config.schema import Config, ProviderSettings
from nearfield.errors import MayNotLeave, NoConsent, NotPermitted, OverBudget
from nearfield.files.ignore import Ruling
from nearfield.providers.address import is_passed_on
from nearfield.routing import money, secrets
from nearfield.routing.consent import Consent
from nearfield.routing.ledger import RequestOutcome, Sending
from nearfield.routing.linear import Pattern, compiled
from nearfield.routing.plan import Funds
from nearfield.routing.redact import (
    Redactions,
    redact_chat,
    redact_edit,
    redact_infill,
    redact_texts,
)
from nearfield.routing.request_context import RequestContext, Source
from nearfield.routing.secrets import ScanDeadline
from nearfield.routing.store import Store
from nearfield.routing.withhold import Withheld
from nearfield.types import ChatRequest, EditRequest, InfillRequest

Request = InfillRequest | EditRequest | ChatRequest
"""A request to a provider."""

REDACTION_SECONDS = 5.0
"""Looking for secrets takes some 0.15 s a megabyte; a request for which it takes longer than this
is not sent."""

WITHHELD = "[withheld: this file may not leave the user's machine]"


@dataclass(frozen=True, slots=True)
class Remote:
    """A provider outside this machine, as the guard sees it."""

    name: str
    model: str
    destination: str
    base_url: str = ""
    is_provider: bool = False
    """Whether the settings have a provider of this very name, which may hold a slash."""

    @property
    def provider(self) -> str:
        """NAME of a "NAME/MODEL", else the name itself, which may hold a slash."""
        if self.is_provider:
            return self.name
        name, _, model = self.name.partition("/")
        return name if model and model == self.model else self.name

    @property
    def allowed_as(self) -> str:
        """The widest name that consent for it is given to: "NAME/MODEL" goes to where NAME does,
        unless the server there passes it on."""
        return self.name if is_passed_on(self.model) else self.provider


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A request as it would be sent. `most` is the most that it can cost, None when unknown."""

    request: Request
    redactions: Redactions
    files: tuple[tuple[str, int | None, int | None], ...]
    content: bytes
    most: Decimal | None
    funds: Funds
    warning: str


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that may be sent now, and its entry in the ledger."""

    request: Request
    redactions: Redactions
    entry: int


def remote(name: str, model: str, providers: Mapping[str, ProviderSettings]) -> Remote:
    """Return the object of a consent: a provider's name, or "NAME/MODEL", and the address that
    `providers`, those of the settings, have for it."""
    is_provider = name in providers
    settings = providers.get(provider_of(name, providers))
    if settings is None:
        return Remote(name, model, name)
    parts = (settings.base_url or settings.kind, settings.options.get("preset"))
    destination = " ".join(str(part) for part in parts if part)
    return Remote(name, model, destination, settings.base_url, is_provider)


@dataclass(frozen=True, slots=True)
class OutgoingRules:
    """Patterns of secrets (`own`) and withheld files that the settings of a folder keep on this
    machine. `problem` is why they cannot be used."""

    own: tuple[Pattern, ...] = ()
    withheld: Withheld = field(default_factory=Withheld)
    problem: str = ""

    @classmethod
    def of(cls, config: Config) -> OutgoingRules:
        """Return those of `config`."""
        try:
            own = tuple(compiled(pattern) for pattern in config.privacy.redact)
            return cls(own, Withheld((*config.privacy.withhold, *config.files.exclude)))
        except ValueError as error:
            # What the user wants hidden is not known, so nothing may go.
            return cls(problem=f"a pattern in [privacy] or [files] cannot be used ({error})")


class Guard:
    """See the module."""

    def __init__(self, configs: FolderConfigs, store: Store) -> None:
        self._configs = configs
        self._config = configs.user
        self.store = store
        self._rules: dict[str, OutgoingRules] = {}

    def _of(self, workspace: str) -> OutgoingRules:
        if workspace not in self._rules:
            self._rules[workspace] = OutgoingRules.of(self._configs.of(workspace))
        return self._rules[workspace]

    def consent(self, to: Remote, context: RequestContext) -> Consent:
        """Return the user's decision about `to` for this context. Raises `LedgerError`."""
        said = {
            name: self.store.consent(context.workspace, name, to.destination)
            for name in {to.name, to.provider}
        }
        if Consent.NEVER in said.values():
            return Consent.NEVER
        if to.name in context.accepted:
            return Consent.ONCE
        return said[to.name] if said[to.name].allows else said[to.allowed_as]

    def never(self, to: Remote) -> str:
        """Return why no workspace may send anything to `to`, "" when one might."""
        if self._config.routing.strategy == "local_only":
            return "It is outside this machine, and the strategy is local_only."
        names = (to.name, to.allowed_as)
        if any(said.provider in names and said.consent.allows for said in self.store.said()):
            return ""
        return (
            f"It is outside this machine; `nearfield consent allow {to.allowed_as}` lets it be"
            " asked."
        )

    def standing(self, to: Remote, context: RequestContext) -> tuple[Consent, Funds, str]:
        """Return consent, the state of the budget before the request's size is known, and the
        sentence that rules `to` out, if any. Raises `LedgerError`.
        """
        budget = self._config.budget
        said = self.consent(to, context)
        limits = (budget.daily_soft, budget.daily_hard, budget.monthly_soft, budget.monthly_hard)
        if not any(limits):
            return said, Funds.OK, ""
        least = money.price(budget, to.model, 1, 0, to.base_url)
        state, why = money.funds(budget, money.standing(self.store), least)
        return said, state, why if state is Funds.HARD else ""

    def prepare(self, to: Remote, request: Request, context: RequestContext) -> PreparedRequest:
        """`request` as it would be sent, without sending it. Raises `NotPermitted` when no form of
        it may leave, and `LedgerError`."""
        rules = self._of(context.workspace)
        if rules.problem:
            raise NotPermitted(f"Nothing is sent to {to.name}: {rules.problem}.")
        allowed, sources = self._without_withheld(to, request, context)
        deadline = ScanDeadline(REDACTION_SECONDS)
        clean, redactions = _redact(allowed, rules, deadline)
        content = _encoded(to, clean)
        most = money.price(
            self._config.budget,
            to.model,
            money.estimate_tokens(len(content)),
            request.max_tokens,
            to.base_url,
        )
        spent = money.standing(self.store)
        state, warning = money.funds(self._config.budget, spent, most)
        files = tuple(_file(source, context.workspace) for source in sources)
        named, _ = redact_texts([path for path, _, _ in files], rules.own, deadline)
        files = tuple((n, start, end) for n, (_, start, end) in zip(named, files, strict=True))
        return PreparedRequest(clean, redactions, files, content, most, state, warning)

    def admit(self, to: Remote, request: Request, context: RequestContext) -> Admitted:
        """Decide, and record what is about to be sent. Raises `NotPermitted` when it may not be, or
        cannot be recorded."""
        if self._configs.of(context.workspace).routing.strategy == "local_only":
            raise NoConsent(f"Nothing is sent to {to.name}: the strategy is local_only.")
        if not self.consent(to, context).allows:
            raise NoConsent(
                f"Nothing is sent to {to.name}: you have not allowed that for this workspace.",
                f"`nearfield consent allow {to.allowed_as}` does.",
            )
        prepared = self.prepare(to, request, context)
        if prepared.funds is Funds.HARD:
            raise OverBudget(f"Nothing is sent to {to.name}: {prepared.warning}.")
        content = prepared.content
        entry = self.store.begin(
            Sending(
                workspace=context.workspace,
                provider=to.name,
                model=to.model,
                destination=to.destination,
                task=context.task.value,
                files=prepared.files,
                bytes=len(content),
                redactions=prepared.redactions.kinds,
                digest=hashlib.sha256(content).hexdigest(),
                content=content.decode() if self._config.privacy.keep_sent else "",
            )
        )
        return Admitted(prepared.request, prepared.redactions, entry)

    def close_entry(
        self, to: Remote, entry: int, outcome: str, tokens_in: int, tokens_out: int
    ) -> None:
        """Record the outcome. A request without an answer is not priced: it is not billed."""
        cost = None
        if tokens_out or outcome == RequestOutcome.ANSWERED:
            cost = money.price(self._config.budget, to.model, tokens_in, tokens_out, to.base_url)
        self.store.finish(entry, outcome, tokens_in, tokens_out, cost)

    def _without_withheld(
        self, to: Remote, request: Request, context: RequestContext
    ) -> tuple[Request, tuple[Source, ...]]:
        """`request` without the files that may not leave, and the sources that are left."""
        kept: list[Source] = []
        withheld = self._of(context.workspace).withheld
        for source in context.sources:
            why = withheld.why(context.workspace, source.path)
            if not why:
                kept.append(source)
            elif isinstance(request, ChatRequest) and source.text and why.kind != "unreadable":
                request = _cut_out(to, request, source, why)
            else:
                raise _may_not_leave(to, source.path, why)
        if isinstance(request, InfillRequest):
            shown = tuple(
                s for s in request.snippets if not withheld.why(context.workspace, s.path)
            )
            request = replace(request, snippets=shown, variants=())
        if isinstance(request, InfillRequest | EditRequest):
            if why := withheld.why(context.workspace, request.path):
                raise _may_not_leave(to, request.path, why)
            paths = [request.path]
            if isinstance(request, InfillRequest):
                paths += [snippet.path for snippet in request.snippets]
            known = {_inside(source.path, context.workspace) for source in kept}
            more = dict.fromkeys(_inside(path, context.workspace) for path in paths)
            kept += [Source(path) for path in more if path and path not in known]
            path = _inside(request.path, context.workspace)
            document = _anonymous(context.workspace + request.document)
            request = replace(request, path=path, document=document)
        elif request.session:
            session = _anonymous(context.workspace + request.session)
            request = replace(request, session=session)
        return request, tuple(kept)


def _redact(
    request: Request, rules: OutgoingRules, deadline: ScanDeadline
) -> tuple[Request, Redactions]:
    if isinstance(request, InfillRequest):
        return redact_infill(request, rules.own, deadline)
    if isinstance(request, EditRequest):
        return redact_edit(request, rules.own, deadline)
    return redact_chat(request, rules.own, deadline)


def _cut_out(to: Remote, request: ChatRequest, source: Source, why: Ruling) -> ChatRequest:
    messages = tuple(
        replace(m, content=m.content.replace(source.text, WITHHELD)) for m in request.messages
    )
    if messages == request.messages:
        # Its text is there in another form or not at all; the two cannot be told apart.
        raise _may_not_leave(to, source.path, why)
    return replace(request, messages=messages)


def _may_not_leave(to: Remote, path: str, why: Ruling) -> NotPermitted:
    name = Path(path).name
    return MayNotLeave(f"Nothing is sent to {to.name}: {name} may not leave, {why.sentence}.")


def _inside(path: str, workspace: str) -> str:
    """`path` as a provider may see it: never the user's folders above the workspace."""
    if not Path(path).is_absolute():
        return path
    if workspace and Path(path).is_relative_to(workspace):
        return Path(path).relative_to(workspace).as_posix()
    return Path(path).name


def _encoded(to: Remote, request: Request) -> bytes:
    try:
        return msgspec.json.encode(request)
    except UnicodeEncodeError as error:
        raise NotPermitted(
            f"Nothing is sent to {to.name}: the text holds half of a surrogate pair."
        ) from error


def _anonymous(key: str) -> str:
    """A key that is equal for equal requests' documents and tells nothing of their names."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _file(source: Source, workspace: str) -> tuple[str, int | None, int | None]:
    path = _inside(source.path, workspace)
    return (path, source.span.start, source.span.end) if source.span else (path, None, None)


def has_secrets(texts: Sequence[str]) -> bool:
    """Return whether any of `texts` seems to hold a secret, or could not be searched in time."""
    deadline = ScanDeadline(REDACTION_SECONDS)
    try:
        return any(secrets.find(text, deadline=deadline) for text in texts)
    except NotPermitted:
        return True
