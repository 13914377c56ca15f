"""Choose the provider, decide whether the request may leave this machine, and price it.

`router.Router` is the entry point. A provider outside this machine is reached only through
`egress.Egress`, the one place for consent, withheld files, redaction and the ledger.
"""
