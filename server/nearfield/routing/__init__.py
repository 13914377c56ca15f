"""Which provider answers, whether the request may leave this machine, and what that costs.

`router.Router` is the way in. A provider outside this machine is reached only through
`egress.Egress`: consent, withheld files, redaction and the ledger are there and nowhere else.
"""
