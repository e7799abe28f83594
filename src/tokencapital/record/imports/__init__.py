"""Work that was recorded elsewhere, read into what the store keeps: trajectories, outcomes, judgments."""
