"""Adapters of the toolboxes, in independent packages, and what both share."""
