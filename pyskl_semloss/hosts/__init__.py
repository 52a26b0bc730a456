"""Adapters: one package for each toolbox, which never import each other."""
