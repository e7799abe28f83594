"""The only door to sealed cases: tasks for the gate, with every look counted."""

from __future__ import annotations

from tokencapital.evaluate.tasks import Task, tasks_from
from tokencapital.store import sealed
