"""Metrics (Prometheus) and traces (OpenTelemetry) of a team's server.

They count and time; neither has text of a request or an answer, a path of a file, or a person. The
libraries are of the extra `team`, and are imported where they are asked for alone.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nearfield.errors import ExtraMissing
from nearfield.features.team.queue import FairQueue
from nearfield.http.exchange import HttpExchange

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

HUNG_UP = 499
"""The status of a request whose client hung up before there was an answer."""

SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
"""Bounds of the histograms, from a keystroke to the longest chat."""


@dataclass(slots=True)
class ObservedRequest:
    """A request under way: its wait for a place, and the tokens that models told."""

    use: str
    wait_seconds: float = 0.0
    model: str = ""
    read: int = 0
    written: int = 0


OBSERVED: ContextVar[ObservedRequest | None] = ContextVar("observed request", default=None)


def answered(model: str, read: int, written: int) -> None:
    """Note what an answer to the request under way has cost."""
    if (one := OBSERVED.get()) is not None:
        one.model = model
        one.read += read
        one.written += written


def waited(seconds: float) -> None:
    """Note how long the request under way has waited for a place."""
    if (one := OBSERVED.get()) is not None:
        one.wait_seconds += seconds


class Metrics:
    """The metrics of one server. Raises `ExtraMissing` without the library."""

    def __init__(self, queue: FairQueue) -> None:
        try:
            import prometheus_client as prometheus
        except ModuleNotFoundError as error:
            raise ExtraMissing("The use `metrics` of a role", "team") from error
        self._write = prometheus.generate_latest
        self.media = prometheus.CONTENT_TYPE_LATEST
        self.registry: CollectorRegistry = prometheus.CollectorRegistry()
        known: dict[str, Any] = {"registry": self.registry}
        self._requests = prometheus.Counter(
            "nearfield_requests", "Requests by use and HTTP status.", ["use", "status"], **known
        )
        self._seconds = prometheus.Histogram(
            "nearfield_request_seconds", "Until an answer's end.", ["use"], buckets=SECONDS, **known
        )
        self._waits = prometheus.Histogram(
            "nearfield_wait_seconds", "Wait for a place.", ["use"], buckets=SECONDS, **known
        )
        self._tokens = prometheus.Counter(
            "nearfield_tokens", "Tokens of answers.", ["model", "direction"], **known
        )
        running = prometheus.Gauge("nearfield_running", "Requests at models.", **known)
        running.set_function(lambda: queue.running)
        waiting = prometheus.Gauge("nearfield_waiting", "Requests without a place.", **known)
        waiting.set_function(lambda: queue.length)

    async def answer(self, exchange: HttpExchange, body: bytes) -> None:
        """`GET /metrics`."""
        await exchange.file(self._write(self.registry), self.media)

    def add(self, one: ObservedRequest, status: int, seconds: float) -> None:
        """Count a request that has ended."""
        self._requests.labels(one.use, str(status)).inc()
        self._seconds.labels(one.use).observe(seconds)
        if one.model:
            self._waits.labels(one.use).observe(one.wait_seconds)
            self._tokens.labels(one.model, "read").inc(one.read)
            self._tokens.labels(one.model, "written").inc(one.written)


class Traces:
    """Spans of requests, sent to an OTLP receiver at `address`; one that does not answer holds
    nothing up. Raises `ExtraMissing` without the libraries."""

    def __init__(self, address: str) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ModuleNotFoundError as error:
            raise ExtraMissing("The setting `traces`", "team") from error
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": "nearfield"}), shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(address)))
        self._tracer = self._provider.get_tracer("nearfield.http")

    def add(self, exchange: HttpExchange, one: ObservedRequest, status: int, begun: int) -> None:
        """Send a request that has ended, and began at `begun` (ns since the epoch); below the
        caller's span where it names one by `traceparent`."""
        from opentelemetry.trace import SpanKind, Status, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        span = self._tracer.start_span(
            f"{exchange.method} {exchange.path}",
            TraceContextTextMapPropagator().extract(exchange.headers),
            SpanKind.SERVER,
            start_time=begun,
            attributes={
                "http.request.method": exchange.method,
                "url.path": exchange.path,
                "http.response.status_code": status,
                "nearfield.use": one.use,
                "nearfield.wait_ms": round(one.wait_seconds * 1000, 3),
                "gen_ai.response.model": one.model,
                "gen_ai.usage.input_tokens": one.read,
                "gen_ai.usage.output_tokens": one.written,
            },
        )
        if status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        span.end()

    def close(self) -> None:
        """Send what is left. Blocks."""
        self._provider.shutdown()


class Telemetry:
    """Both, each only where it is wanted."""

    def __init__(self, metrics: Metrics | None, traces: Traces | None) -> None:
        self.metrics = metrics
        self.traces = traces

    @contextmanager
    def request(self, exchange: HttpExchange, use: str) -> Generator[None]:
        """Observe a request to a known path while the body runs."""
        one, begun, at = ObservedRequest(use), time.monotonic(), time.time_ns()
        token = OBSERVED.set(one)
        try:
            yield
        finally:
            OBSERVED.reset(token)
            status = exchange.status or HUNG_UP
            if self.metrics is not None:
                self.metrics.add(one, status, time.monotonic() - begun)
            if self.traces is not None:
                self.traces.add(exchange, one, status, at)
