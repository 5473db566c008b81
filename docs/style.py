"""Report the words to avoid of docs/style.md, in the prose of the code and the docs."""

import io
import re
import sys
import tokenize
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
CHECKED = ("src/**/*.py", "experiments/**/*.py", "docs/**/*.md", "*.md", "mkdocs.yml")
# Fenced blocks, code in backticks, targets of links, doctests, fields of f-strings, and names of
# parameters in numpydoc docstrings, which an indented description follows.
CODE = re.compile(
    r"^ *```.*?^ *```|`+[^`\n]+`+|\]\([^)]*\)|^ *(?:>>>|\.\.\.) [^\n]*|\{[^{}\n]*\}"
    r"|^( +)\w+(?:, \w+)*$(?=\n\1    \S)",
    re.M | re.S,
)
QUOTES = re.compile(r"""^\w*("{3}|'{3}|"|')|("{3}|'{3}|"|')$""")
PROSE = (tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", None))  # from 3.12


class Rule(NamedTuple):
    """Phrases to report, except inside of others, and what to write instead."""

    avoid: re.Pattern[str]
    unless: re.Pattern[str] | None
    instead: str


def read_rules(page: str) -> list[Rule]:
    """Read the table below the heading "Words to avoid"."""
    rules = []
    for row in re.findall(r"^\| (`.*) \|$", page.partition("## Words to avoid")[2], re.M):
        avoid, unless, instead = (cell.strip() for cell in row.split("|"))
        rules.append(Rule(_any_of(avoid), _any_of(unless) if unless else None, instead))
    return rules


def _any_of(cell: str) -> re.Pattern[str]:
    """Match any of the phrases in backticks; a line break, also of a comment, is a blank."""
    phrases = (phrase.replace(" ", r"[\s#]+") for phrase in re.findall("`([^`]+)`", cell))
    return re.compile(rf"(?<![\w-])({'|'.join(phrases)})(?![\w-])", re.I)


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"\S", " ", match[0])


def prose_of_python(code: str) -> str:
    """Blank everything but comments and strings; lines and columns stay the same."""
    lines = [" " * len(line) for line in code.split("\n")]
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type in PROSE:
            (first, start), text = token.start, token.string
            if token.type == tokenize.STRING:
                text = QUOTES.sub(lambda m: " " * len(m[0]), text)
            for number, part in enumerate(text.split("\n"), first - 1):
                begin = start if number == first - 1 else 0
                lines[number] = lines[number][:begin] + part + lines[number][begin + len(part) :]
    return "\n".join(lines)


def check(path: Path, rules: list[Rule]) -> list[str]:
    """Return a line for each phrase to avoid in a file, in the order of the file."""
    text = path.read_text(encoding="utf-8")
    text = CODE.sub(_blank, prose_of_python(text) if path.suffix == ".py" else text)
    found = []
    for rule in rules:
        allowed = rule.unless.sub(_blank, text) if rule.unless else text
        for match in rule.avoid.finditer(allowed):
            line = text.count("\n", 0, match.start()) + 1
            phrase = " ".join(match[0].replace("#", " ").split())
            found.append((line, f"{phrase!r}; write: {rule.instead}"))
    return [f"{path.relative_to(ROOT)}:{line}: {message}" for line, message in sorted(found)]


def main() -> int:
    """Check the files named on the command line, or all; return the exit code."""
    rules = read_rules((ROOT / "docs/style.md").read_text(encoding="utf-8"))
    paths = [Path(name).resolve() for name in sys.argv[1:]]
    paths = paths or sorted({path for pattern in CHECKED for path in ROOT.glob(pattern)})
    messages = [message for path in paths for message in check(path, rules)]
    print(*messages, sep="\n", end="\n" if messages else "")
    return 1 if messages else 0


if __name__ == "__main__":
    sys.exit(main())
