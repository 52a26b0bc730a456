"""What exists to be fast on a CPU: allocator, threads, worker processes."""
