"""HTTP clients with the machine's proxies and certificates, and messages for failed connections."""
