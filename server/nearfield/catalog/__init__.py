"""Find, fetch and verify models; say which one serves what.

`models.Catalog` knows the entries and the files on this machine, `download.pull` brings one here,
`choice.choose` picks one for a role, `recommend` says what this machine can carry, and `templates`
has the infilling and chat forms.
"""
