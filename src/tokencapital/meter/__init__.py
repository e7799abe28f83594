"""What answers use up: dollars with dated prices, joules with a grade, and the two metrics."""
