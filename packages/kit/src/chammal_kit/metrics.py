"""Metrics of the HTTP server. Services add theirs beside it, all in prometheus_client's default registry."""

from functools import cache

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import REGISTRY
from starlette.requests import Request
from starlette.responses import Response

STAGE_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds of one stage of an answer."""
HTTP_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0)

HTTP_REQUESTS = Counter(
    "chammal_http_requests_total", "HTTP requests answered, by route and status.", ["method", "route", "status"]
)
HTTP_SECONDS = Histogram(
    "chammal_http_request_seconds", "Seconds from request to last byte.", ["route"], buckets=HTTP_BUCKETS
)
LOOP_LAG = Histogram(
    "chammal_loop_lag_seconds",
    "How late the event loop was, measured twice a second.",
    buckets=(0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0),
)
PROCESS_TASKS = Gauge("chammal_process_tasks", "Tasks of the event loop.")
PROCESS_THREADS = Gauge("chammal_process_threads", "Threads that Python knows of.")

REFUSED = Counter("chammal_refused_total", "Requests refused at the door, by code.", ["code"])
KEYS = Gauge("chammal_keys", "API keys that are known.")
KEYS_BROKEN = Gauge("chammal_keys_file_broken", "1: the file of keys cannot be read, those from before stay valid.")


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    answered, took = _of_requests(method, route, status)
    answered.inc()
    took.observe(seconds)


@cache
def _of_requests(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    """Looking labels up costs more than counting."""
    return HTTP_REQUESTS.labels(method, route, status), HTTP_SECONDS.labels(route)


async def metrics_endpoint(request: Request) -> Response:
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(REGISTRY), media_type=content_type)
