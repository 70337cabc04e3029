"""The one exception for what a user can mend."""


class InputError(Exception):
    """One line that names the setting or file, the value got, and what would do.

    The command line prints it and exits 1; any other exception is a defect of this project.
    """


def require(condition: bool, message: str) -> None:
    """Raise InputError with `message` unless `condition` holds."""
    if not condition:
        raise InputError(message)


class Stopped(Exception):  # noqa: N818  # no error: it was asked for
    """A signal asked the process to end: one line that says what is kept."""
