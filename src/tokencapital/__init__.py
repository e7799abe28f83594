"""Token Capital: the learning loop that makes a company's AI its own."""
