"""Asking a daemon, or a file, from outside: for people (`cli`) and for language models (`mcp`)."""
