"""Memory allocator and worker processes."""
