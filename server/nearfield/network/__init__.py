"""The way to other machines: which proxy is on it, whose certificates are trusted, and what is said
when it is closed. The only place that makes HTTP clients."""
