"""Find, fetch and verify models; choose the model of a role.

`models.Catalog` knows the entries and the files on this machine, `download.pull` brings one here.
`choice.choose` picks one for a role, `recommend` says what this machine can carry, and `templates`
has the infilling and chat forms.
"""
