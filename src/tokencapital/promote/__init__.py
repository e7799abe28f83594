"""Decides with statistics, makes releases, and undoes them."""
