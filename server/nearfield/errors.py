"""The one error tree.

    NearfieldError
    ├── ConfigError                 a setting cannot be used
    │   └── ExtraMissing            an optional part of the package is not installed
    ├── CatalogError                about models on disk
    │   ├── UnknownModel            no model of that name in the catalogue
    │   ├── DownloadFailed          the sources could not be reached, or broke off
    │   ├── HashMismatch            a file is not what it should be
    │   └── NoSpace                 too little free disk
    ├── EngineError                 about the embedded engine
    │   ├── EngineMissing           llama-cpp-python is not installed
    │   ├── ModelLoadFailed         the file is not a model, or does not fit in memory
    │   └── EngineDied              the worker process ended while a job was running
    ├── ProviderError               a model could not answer
    │   ├── NotReady                still loading or starting; ask again
    │   ├── Unreachable             no connection, or it broke
    │   ├── Unauthorised            the key is missing or refused
    │   ├── ModelNotServed          the server does not have that model
    │   ├── RateLimited             wait and ask again
    │   ├── ContextTooLong          the prompt does not fit
    │   ├── BadAnswer               the answer is not what the protocol says
    │   ├── DeadlineExceeded        too slow
    │   ├── LeftAlone               it failed recently, and is not asked for a while
    │   ├── NotPermitted            it would leave this machine, and may not
    │   │   ├── NoConsent           the user has not allowed it
    │   │   ├── OverBudget          it could cost more than the user wants to pay
    │   │   └── MayNotLeave         this file never leaves
    │   └── Unsupported             this provider cannot do that at all
    ├── NoProvider                  every candidate failed or none is configured
    ├── RequestStopped              the user has stopped the request
    └── EditRefused                 an action produced no edit that can be trusted

Every message says what happened; `hint` says what to do next. Neither may contain code from a
document, a key, or a token: both reach logs and users.
"""

from __future__ import annotations


class NearfieldError(Exception):
    """Base of every error that Nearfield raises on purpose.

    `message` is one sentence on what happened, `hint` one on what to do about it (may be empty).
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class ConfigError(NearfieldError):
    """A setting cannot be used."""


class ExtraMissing(ConfigError):
    """An optional part of the package is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        """Say that `what` needs the packages of `extra`."""
        super().__init__(
            f"{what} needs packages that are not installed.",
            f'Run `pip install "nearfield[{extra}]"`.',
        )


class CatalogError(NearfieldError):
    """Something about models on disk."""


class UnknownModel(CatalogError):
    """No model of that name in the catalogue."""


class DownloadFailed(CatalogError):
    """The sources could not be reached, or broke off."""


class HashMismatch(CatalogError):
    """A file does not have the expected hash."""


class NoSpace(CatalogError):
    """Too little free disk."""


class EngineError(NearfieldError):
    """Something about the embedded engine."""


class EngineMissing(EngineError):
    """llama-cpp-python is not installed."""


class ModelLoadFailed(EngineError):
    """The file is not a model, or it does not fit in memory."""


class EngineDied(EngineError):
    """The worker process ended while a job was running."""


class ProviderError(NearfieldError):
    """A model could not answer."""


class NotReady(ProviderError):
    """Still loading or starting; ask again."""


class Unreachable(ProviderError):
    """No connection, or it broke."""


class Unauthorised(ProviderError):
    """The key is missing or refused."""


class ModelNotServed(ProviderError):
    """The server does not have that model; `known` lists its models."""

    def __init__(self, message: str, hint: str = "", known: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint)
        self.known = known


class RateLimited(ProviderError):
    """Too many requests; `retry_after` is the wait in seconds if the server named one."""

    def __init__(self, message: str, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


class ContextTooLong(ProviderError):
    """The prompt does not fit into the model's context."""


class BadAnswer(ProviderError):
    """The answer is not what the protocol says."""


class DeadlineExceeded(ProviderError):
    """The answer did not come in time."""


class NotPermitted(ProviderError):
    """The request would leave this machine without permission, or could not be recorded."""


class Unsupported(ProviderError):
    """This provider cannot do that at all."""


class LeftAlone(ProviderError):
    """The provider failed recently, and is not asked for a while."""


class NoConsent(NotPermitted):
    """The user has not allowed it."""


class OverBudget(NotPermitted):
    """The request could cost more than the user wants to pay."""


class MayNotLeave(NotPermitted):
    """This file never leaves."""


class NoProvider(NearfieldError):
    """Every candidate failed, or none is configured; `causes` are their errors, in order."""

    def __init__(
        self, message: str, hint: str = "", causes: tuple[NearfieldError, ...] = ()
    ) -> None:
        super().__init__(message, hint)
        self.causes = causes


class RequestStopped(NearfieldError):
    """The user has stopped the request."""


class EditRefused(NearfieldError):
    """An action produced no edit: nothing to change, or a result that cannot be trusted."""
