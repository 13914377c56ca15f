"""`python -m nearfield`: the same as the `nearfield` command."""

from __future__ import annotations

from nearfield.cli import main

if __name__ == "__main__":
    main()
