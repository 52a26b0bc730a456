"""Head, preprocessor and recogniser for MMAction2, and their configs."""
