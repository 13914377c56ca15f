"""Checks of the installation: faults, speed, and what to do about them, for `nearfield doctor` and
the control panel.
"""
