"""Text that a terminal only shows, or a file system: names from files must not move a cursor, colour it or turn it
round, nor lead out of a folder."""

import re
from hashlib import sha256

LONGEST_PART = 100  # bytes of a part of a folder's name
QUOTED = re.compile(r"""(?:^|[+,])\s*=("(?:[^"]|"")*"|'(?:[^']|'')*')""")  # a name in quotes, as policies write it


def printable(text: str) -> str:
    """`text` on one line; control characters, marks of direction and halves of characters are written out.

    'a\\x1b[2J' -> 'a\\\\x1b[2J'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def as_part(text: str) -> str:
    """`text` as a part of a folder's name. Where it says more than the name can, the beginning of its digest follows.

    'bias-only+head' -> 'bias-only_head', '*.bias' -> '_.bias-d5710d'
    """
    name = "".join(c if c.isalnum() or c in "._-" else "_" for c in text)
    short = name.encode()[:LONGEST_PART].decode(errors="ignore")
    told = short == name and not re.search(r"[^\w.\-+:/ ]", text)
    digest = sha256(text.encode(errors="surrogatepass")).hexdigest()
    return name if told else f"{short}-{digest[:6]}"


def parted(text: str, at: str) -> list[str]:
    """The parts of `text` between the letters `at`; what stands in quotes behind a = is whole.

    '="a+b":0.5+head' at '+' -> ['="a+b":0.5', 'head']
    """
    whole = [range(*found.span(1)) for found in QUOTED.finditer(text)]
    cuts = [index for index, letter in enumerate(text) if letter == at and not any(index in each for each in whole)]
    begins, ends = [0, *(cut + 1 for cut in cuts)], [*cuts, len(text)]
    return [text[begin:end] for begin, end in zip(begins, ends, strict=True)]


def printable_lines(text: str) -> str:
    """`printable` of each line; tabs stay."""
    lines = text.split("\n")
    return "\n".join("\t".join(printable(part) for part in line.split("\t")) for line in lines)


def shortened(text: str, most: int = 1000) -> str:
    """Each line with its middle left out where it has more than `most` letters."""
    return "\n".join(_shortened(line, most) for line in text.split("\n"))


def _shortened(line: str, most: int) -> str:
    return line if len(line) <= most else f"{line[: most // 2]} … {line[-most // 2 :]}"
