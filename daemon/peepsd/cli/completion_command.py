"""`peeps completion SHELL`: what a shell must know to complete `peeps`. Decides nothing else."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash:  eval "$(peeps completion bash)"   in ~/.bashrc
    zsh:   eval "$(peeps completion zsh)"    in ~/.zshrc
    fish:  peeps completion fish > ~/.config/fish/completions/peeps.fish
    """
    from .commands import group

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(group, {}, "peeps", "_PEEPS_COMPLETE").source())
