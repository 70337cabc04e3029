"""Lines, whole blocks at a time: many times as fast as one by one."""

from collections.abc import Iterable, Iterator

from transformer.errors import InputError
from transformer.text.files import BOM


def line_runs(blocks: Iterable[bytes], name: str) -> Iterator[list[str]]:
    """The lines of successive blocks, without their ends, as `files.split_lines` gives them.

    `name` is what an InputError calls the stream.
    """
    n_lines = 0
    for content in whole_lines(blocks):
        lines = without_cr(decoded(content, name, n_lines)).split("\n")
        if content.endswith(b"\n"):
            lines.pop()
        n_lines += len(lines)
        yield lines


def decoded(content: bytes, name: str, n_lines: int) -> str:
    """The text of whole lines; `n_lines` is the number of lines before them.

    InputError with the line and the byte in it where it is not UTF-8.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_utf8(content, error.start, name, n_lines) from error


def without_cr(text: str) -> str:
    """The text with LF for CRLF."""
    return text.replace("\r\n", "\n") if "\r" in text else text


def _not_utf8(content: bytes, start: int, name: str, n_lines: int) -> InputError:
    number = n_lines + content.count(b"\n", 0, start) + 1
    line, end, _ = content[content.rfind(b"\n", 0, start) + 1 :].partition(b"\n")
    if end:
        line = line.removesuffix(b"\r")
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        return InputError(
            f"{name} is not UTF-8: line {number}, byte {error.start + 1} "
            f"({error.reason}); convert it first"
        )
    raise AssertionError("the line decodes alone")


def whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The content of the blocks, cut behind line feeds, without a byte order mark at its start."""
    held: list[bytes] = []  # of a line that is longer than a block, its beginning
    first = True
    for block in blocks:
        end = block.rfind(b"\n") + 1
        if end == 0:
            held.append(block)
            continue
        content = b"".join([*held, block[:end]])
        held = [block[end:]]
        yield content.removeprefix(BOM) if first else content
        first = False
    rest = b"".join(held)
    rest = rest.removeprefix(BOM) if first else rest
    if rest:
        yield rest
