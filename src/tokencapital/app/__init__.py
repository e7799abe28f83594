"""Puts the house together: settings, the platform that wires it, and the loop."""
