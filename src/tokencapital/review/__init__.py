"""Spends expert minutes where they teach most, and takes down what experts said."""
