"""The one exception for what a user can mend."""


class InputError(Exception):
    """One line that names the setting or file, the value got, and what would do.

    The command line prints it and exits 1; any other exception is a defect of this project.
    """


def require(condition: bool, message: str) -> None:
    """Raise InputError with `message` unless `condition` holds."""
    if not condition:
        raise InputError(message)
