"""What every command's parser shares: plain help, --json, --config."""

from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Config = Annotated[
    str | None,
    typer.Option("--config", metavar="PATH", help="The configuration file.  [default: sendline.toml here]"),
]


def make_app(**options: Any) -> typer.Typer:
    """Return an app for one command or one family of commands."""
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        **options,
    )
