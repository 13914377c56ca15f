"""What is counted and traced of a request, and that no text of it is."""

from __future__ import annotations

import asyncio
from typing import Any

from pytest_httpserver import HTTPServer
from tests.conftest import needs

from nearfield.features.team.queue import FairQueue
from nearfield.http.exchange import Event, HttpExchange
from nearfield.http.telemetry import Metrics, Telemetry, Traces, answered, waited

PARENT = b"00-" + b"a1" * 16 + b"-" + b"b2" * 8 + b"-01"


async def observe(telemetry: Telemetry) -> None:
    """One request, with an answer of a model."""

    async def receive() -> Event:
        return {"type": "http.disconnect"}

    async def send(event: Event) -> None:
        assert event

    scope: Event = {"method": "POST", "path": "/infill", "headers": [(b"traceparent", PARENT)]}
    exchange = HttpExchange(scope, receive, send)
    with telemetry.request(exchange, "complete"):
        waited(0.25)
        answered("tiny", 5, 7)
        answered("tiny", 1, 1)
        await exchange.json({"content": "zebra()"})


async def test_a_request_is_counted(httpserver: HTTPServer) -> None:
    needs("prometheus_client")
    metrics = Metrics(FairQueue(1, 1, 1))
    await observe(Telemetry(metrics, None))
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if not sample.name.endswith(("_created", "_bucket"))
    }
    assert found["nearfield_requests_total", "complete", "200"] == 1
    assert found["nearfield_wait_seconds_sum", "complete"] == 0.25
    assert found["nearfield_tokens_total", "tiny", "read"] == 6
    assert found["nearfield_tokens_total", "tiny", "written"] == 8
    assert found["nearfield_running",] == 0


async def test_a_span_is_below_its_callers_and_has_no_text(httpserver: HTTPServer) -> None:
    needs("opentelemetry.sdk")
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    httpserver.expect_request("/v1/traces").respond_with_data("")
    traces = Traces(httpserver.url_for("/v1/traces"))
    await observe(Telemetry(None, traces))
    await asyncio.to_thread(traces.close)
    ((request, _),) = httpserver.log
    sent: Any = ExportTraceServiceRequest()
    sent.ParseFromString(request.data)
    (span,) = sent.resource_spans[0].scope_spans[0].spans
    assert (span.trace_id, span.parent_span_id) == (b"\xa1" * 16, b"\xb2" * 8)
    told = {one.key: one.value for one in span.attributes}
    assert told["http.response.status_code"].int_value == 200
    assert told["gen_ai.usage.output_tokens"].int_value == 8
    assert b"zebra" not in request.data
