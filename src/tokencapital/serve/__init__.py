"""Answers requests under the live release: wire formats, the engine and the gateway."""
