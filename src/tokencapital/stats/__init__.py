"""Statistics that decide: intervals, anytime-valid comparisons, thresholds, calibration and power.

Pure functions over numpy arrays; whatever is random is seeded by the caller. Nothing here knows of
cases or judgments, and only `calibration` is meant for the serving path.
"""
