"""`peeps mcp`: decides nothing; peepsd.mcp does."""

import click

from ..asking.source import open_source


@click.command()
@click.option("--db", metavar="FILE", help="Read a database file instead of asking a daemon.")
@click.option("--url", metavar="URL", help="The daemon to ask [default: PEEPS_URL].")
def mcp(db: str | None, url: str | None) -> None:
    """Serve these answers to a language model over MCP, on standard input and output."""
    from ..mcp.server import serve

    serve(open_source(db, url))
