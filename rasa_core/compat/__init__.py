"""Support for programs that were written for other versions, which nothing else needs."""
