"""Simulated organizations whose truth is known: tests, benches, the demo and the proof of our statistics play them."""
