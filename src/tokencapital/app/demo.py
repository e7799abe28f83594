"""The main job on a fresh machine: six weeks of a service desk, played through the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter

import msgspec
import numpy as np
from msgspec import Struct

from tokencapital.account.statements import Statement, draw_up
from tokencapital.app.arms import ArmResult, arms, run_arm, score_arm
from tokencapital.app.pictures import CurveLine, save_pictures
from tokencapital.app.platform import Platform, Workplace
from tokencapital.app.replay import Budget, Player
from tokencapital.app.script import Script
from tokencapital.app.settings import GeneralistKind, GeneralistSettings, Settings
from tokencapital.app.simulated import OrganizationScript
from tokencapital.core.case import Capability, Case, Goal, Mode
from tokencapital.core.clock import RecordedClock
from tokencapital.core.policy import Release
from tokencapital.models.base import ModelClient
from tokencapital.serve.engine import Engine
from tokencapital.serve.ports import FixedRelease, NoSink
from tokencapital.simulate.service_desk import service_desk
from tokencapital.stats.intervals import Interval
from tokencapital.stats.paired import paired_difference
from tokencapital.store import releases as book
from tokencapital.store.cases import trajectories_after
from tokencapital.store.ledger import transactions
from tokencapital.store.turns import turns

SEED = 1
UNSEEN_SHARE = 0.15
"""The last weeks' share of the cases: never served, kept to measure on."""
JUDGED_SHARE = 0.70
TOLERANCE = 0.10
TURNS = 8
ARM_CASES = 60

Told = Callable[[str, int, int], None]
"""Told what is being done, and how much of how much is done."""
