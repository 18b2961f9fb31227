"""Sessions that are recognised while they are spoken: `WS /v1/stream`."""
