"""The pages that people read and judge on: server-rendered, keyboard first, no request to another host."""
