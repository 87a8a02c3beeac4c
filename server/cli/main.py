"""The command `chromogen`: each subcommand is a module, imported only when it is called."""

import importlib
import sys

import click

from inference.errors import ChromogenError, Refused

COMMANDS = {
    "score": "server.cli.score:score",
    "inspect": "server.cli.inspect:inspect",
    "convert": "server.cli.convert:convert",
    "detect": "server.cli.detect:detect",
    "he": "server.cli.he:he",
    "evaluate": "server.cli.evaluate:evaluate",
    "calibrate": "server.cli.calibrate:calibrate",
    "live": "server.cli.live:live",
    "demo": "server.cli.demo:demo",
    "serve": "server.cli.serve:serve",
    "work": "server.cli.serve:work",
    "migrate": "server.cli.serve:migrate",
    "check": "server.cli.check:check",
    "order": "server.cli.order:order",
    "result": "server.cli.estimate:result",
    "profile": "server.cli.validation:profile",
    "control": "server.cli.control:control",
    "outbox": "server.cli.outbox:outbox",
    "audit": "server.cli.audit:audit",
}

BAD_INPUT, FAILURE = 2, 1


class LazyGroup(click.Group):
    """Knows its commands by name, and loads one when asked for it: `--help` of one needn't import
    the libraries of all.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(package_name="chromogen")
@click.option("--debug", is_flag=True, help="show where an unexpected error arose")
def chromogen(debug: bool) -> None:
    """Scores immunostained pathology slides. Research use only: a pathologist decides.

    Errors are one line with the reason; exit code 2 for bad input, 1 for a failure.
    """
    assert isinstance(debug, bool)  # read from the arguments by main: an error may come before the group runs


def main() -> None:
    """Entry point: turns errors into one line and an exit code."""
    try:
        code = chromogen.main(
            standalone_mode=False
        )  # click gives back the code of an Exit, or what the command returned
        sys.exit(code if isinstance(code, int) else 0)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        _fail(f"USAGE: {error.format_message()} (see `chromogen --help`)", BAD_INPUT)
    except ChromogenError as error:
        _fail(str(error), BAD_INPUT if isinstance(error, Refused) else FAILURE)
    except OSError as error:
        _fail(
            f"OUTPUT_NOT_WRITABLE: {error.strerror or type(error).__name__} ({error.filename or 'no file named'})",
            FAILURE,
        )
    except Exception as error:
        if "--debug" in sys.argv[1:2]:
            raise
        _fail(f"INTERNAL: {type(error).__name__}; `chromogen --debug ...` shows where", FAILURE)


def _fail(line: str, code: int) -> None:
    click.echo(f"chromogen: {line}".replace("\n", " "), err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
