"""`python -m countenance` is the program `countenance`."""

from countenance.cli.main import run

run()
