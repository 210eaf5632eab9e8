"""Speed and memory, measured side by side: what ``python -m fame bench`` prints."""
