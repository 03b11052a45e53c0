"""Text that a terminal only shows: names from files must not move its cursor, colour it or turn it round."""


def printable(text: str) -> str:
    """`text` on one line; control characters, marks of direction and halves of characters are written out.

    'a\\x1b[2J' -> 'a\\\\x1b[2J'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def printable_lines(text: str) -> str:
    """`printable` of each line; tabs stay."""
    lines = text.split("\n")
    return "\n".join("\t".join(printable(part) for part in line.split("\t")) for line in lines)


def shortened(text: str, most: int = 1000) -> str:
    """Each line with its middle left out where it has more than `most` letters."""
    return "\n".join(_shortened(line, most) for line in text.split("\n"))


def _shortened(line: str, most: int) -> str:
    return line if len(line) <= most else f"{line[: most // 2]} … {line[-most // 2 :]}"
