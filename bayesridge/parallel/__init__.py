"""Threads of the linear algebra, and independent runs in processes."""
