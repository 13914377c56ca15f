"""The control panel: a page in the browser over everything that Nearfield knows and does on this
machine, and the JSON API below it.

It adds nothing to what the commands answer: both ask the same functions. It attaches to the servers
of this user that run (`features.running`) and works when none does.
"""
