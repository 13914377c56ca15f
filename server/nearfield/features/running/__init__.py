"""The servers of this user that run now: how they are found, and what they can be asked.

A server speaks with its editor alone. For the user's other programs, such as the control panel, it
listens on a socket of its own, and a private file says where.
"""
