"""Training pairs with text of the validation and test sets: what is told of them."""

from transformer.config import DataConfig, Leaks, LeakSide
from transformer.errors import InputError

NO_LEAKS = {"source": 0, "target": 0, "both": 0, "either": 0}  # pairs, by the side that occurs


def refuse_leaks(leaks: dict[str, int], data: DataConfig) -> None:
    """Raise InputError where there are leaks and data.leaks=fail."""
    if data.leaks is Leaks.fail and leaks[data.leaks_side.name]:
        raise InputError(f"data.leaks=fail: {leaks_message(leaks, data)}")


def leaks_message(leaks: dict[str, int], data: DataConfig) -> str:
    """What was found of the validation and test sets in the training pairs, and what would do."""
    message = (
        f"{leaks[data.leaks_side.name]:,} training pairs hold text of the validation or test sets "
        f"({leaks['source']:,} by the source, {leaks['target']:,} by the target, "
        f"{leaks['both']:,} by both); data.leaks=remove drops them"
    )
    if data.leaks_side is LeakSide.either:
        message += ", with data.leaks_side=both only the last"
    return message
