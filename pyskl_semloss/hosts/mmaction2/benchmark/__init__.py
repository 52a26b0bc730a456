"""MMAction2 as its users set it up and this package, measured turn by turn in one run."""
