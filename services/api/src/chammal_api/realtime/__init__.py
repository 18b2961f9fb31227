"""Conversation by voice: `WS /v1/realtime`."""
