"""The one rule for text in a price book: printable, on one line, never blank."""


def require_line(name: str, text: str) -> None:
    if not text or text != text.strip() or not text.isprintable():
        raise ValueError(f"{name} is {text!r}; it must be one line of printable text")


def require_optional_line(name: str, text: str | None) -> None:
    if text is not None:
        require_line(name, text)
