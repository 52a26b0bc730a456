"""Pictures of layouts and clips."""
