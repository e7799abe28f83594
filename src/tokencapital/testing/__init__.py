"""Public fakes, and the checks that every implementation of a seam passes."""
