"""A record of the code that models suggested and the user accepted, kept on this machine."""
