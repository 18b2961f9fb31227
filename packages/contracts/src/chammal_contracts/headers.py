"""Names of the headers that Chammal's services send and read."""

REQUEST_ID = "X-Request-Id"
"""One id a request, passed through all services."""
DEADLINE = "Chammal-Deadline"
"""Seconds that the caller will still wait, as a decimal number."""
DEGRADED = "Chammal-Degraded"
"""For example `analysis=dummy`; on every degraded answer, and on no other."""
BACKEND = "Chammal-Backend"
"""Which backend of the gateway answered."""
ATTEMPTS = "Chammal-Attempts"
"""For example `vllm=connect_error, llamacpp=ok`."""
ON_FAILURE = "Chammal-On-Failure"
"""`error` asks for a problem instead of a dummy."""
FROM_CALLERS = (REQUEST_ID, DEADLINE, ON_FAILURE)
TO_CALLERS = (REQUEST_ID, DEGRADED, BACKEND, ATTEMPTS)
