"""Names of functions in so many letters."""

ENOUGH = 8  # letters to know a name by


def short_name(name: str, letters: int) -> str:
    """A name of C++ loses what stands in brackets, of calls and then of templates, and then its front; any other one
    its middle, or its end where the rest would be too little to know it by."""
    if len(name) <= letters:
        return name
    if "::" not in name and "(" not in name:
        front = letters * 2 // 3 if letters >= 2 * ENOUGH else letters - 1
        return f"{name[:front]}…{name[len(name) - (letters - front - 1) :]}"
    for brackets in ("()", "<>"):
        if len(name) > letters:
            name = _emptied(name, *brackets)
    return name if len(name) <= letters else f"…{name[len(name) - letters + 1 :]}"


def _emptied(name: str, opening: str, closing: str) -> str:
    """The name with … within its outermost brackets."""
    kept, depth = "", 0
    for letter in name:
        if letter == closing and depth:
            depth -= 1
            kept += "" if depth else closing
        elif letter == opening:
            kept += "" if depth else f"{opening}…"
            depth += 1
        elif not depth:
            kept += letter
    return kept
