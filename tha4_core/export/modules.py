"""ES modules as one script: a page that is opened from a file may not import others.

Only the forms of import and export that web/js uses are known, each at the beginning of a line; anything else is an
error, so that nothing is bundled wrongly in silence. A call of import with a value of the page's own stays as it is.

Each module becomes a function that is called once and returns its exports, in the order in which a browser would run
them. Exports are constants, so a module keeps them as it got them.
"""

from __future__ import annotations

import base64
import posixpath
import re
from pathlib import Path

from ..errors import PageError

_IMPORT = re.compile(r'^import (?:\{([^}]*)\} from )?"([^"\n]+)";$', re.M)
_EXPORT = re.compile(r"^export (?=(?:const|function\*?|async function\*?|class) (\w+))", re.M)
_URL = re.compile(r'new URL\("([^"\n]+)", import\.meta\.url\)')
_UNKNOWN = re.compile(r"^[^\S\n]*(?:import|export)\b.*|^.*\bimport\s*(?:\.|\(\s*[\"'`]).*|^await\b.*", re.M)
_ENDS_SCRIPT = re.compile(r"</script|<!--|<script", re.I)
_NAME = re.compile(r"(\w+)(?: as (\w+))?")


def bundle(root: Path, entry: str) -> str:
    """The module `entry` (a path below the folder `root`, with /) and all that it imports, as one script.

    It is the content of a `<script type="module">`. `new URL("./other.js", import.meta.url)` becomes a data: URL
    with the other module's text, which must import nothing: a page that is a file may not load a blob: as a worklet.
    The same files give the same script, whatever their line ends. Raises PageError, naming a module that is missing,
    imports itself, or has a form that is not known.
    """
    bundler = _Bundler(root)
    bundler.add(entry, ())
    return "\n".join(bundler.parts)


class _Bundler:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.numbers: dict[str, int] = {}
        self.parts: list[str] = []

    def add(self, path: str, importers: tuple[str, ...]) -> int:
        """Bundle a module after those that it imports. Returns its number."""
        if path in importers:
            raise PageError(f"{path}: imports itself by way of {', '.join(importers)}.")
        if path not in self.numbers:
            text = self._read(path)
            imported = [self._import(match, path, importers) for match in _IMPORT.finditer(text)]
            exports = _EXPORT.findall(text)
            body = _URL.sub(lambda match: self._data_url(match[1], path), _EXPORT.sub("", _IMPORT.sub("", text)))
            _check(body, path)
            self.numbers[path] = len(self.numbers)
            head = f"// {path}\nconst module{self.numbers[path]} = (() => {{"
            self.parts.append("\n".join([head, *filter(None, imported), body.strip(), _return(exports), "})();"]))
        return self.numbers[path]

    def _import(self, match: re.Match[str], path: str, importers: tuple[str, ...]) -> str:
        """The line that takes the place of an import; none where nothing is taken from the other module."""
        names, specifier = match.groups()
        other = _resolve(specifier, path)
        number = self.add(other, (*importers, path))
        if names is None:
            return ""
        taken = [self._imported(name.strip(), other, path) for name in names.split(",") if name.strip()]
        return f"const {{ {', '.join(taken)} }} = module{number};"

    def _imported(self, name: str, other: str, path: str) -> str:
        match = _NAME.fullmatch(name)
        if match is None or match[1] not in _EXPORT.findall(self._read(other)):
            raise PageError(f"{path}: {name} is not exported by {other}.")
        return f"{match[1]}: {match[2]}" if match[2] else match[1]

    def _data_url(self, specifier: str, path: str) -> str:
        other = _resolve(specifier, path)
        text = self._read(other)
        _check(text, other)
        return f'"data:text/javascript;base64,{base64.b64encode(text.encode()).decode()}"'

    def _read(self, path: str) -> str:
        try:
            return (self.root / path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PageError(f"{path}: this module cannot be read ({error}). Install the pack again.") from error


def _resolve(specifier: str, path: str) -> str:
    """The path below the root that a module's specifier means."""
    found = posixpath.normpath(posixpath.join(posixpath.dirname(path), specifier))
    if not specifier.startswith((".", "..")) or found.startswith(".."):
        raise PageError(f"{path}: imports {specifier}, which is no module of the folder.")
    return found


def _return(exports: list[str]) -> str:
    return f"return {{ {', '.join(exports)} }};"


def _check(body: str, path: str) -> None:
    unknown = _UNKNOWN.search(body)
    if unknown:
        raise PageError(f"{path}: this is not known to the bundler: {unknown[0].strip()[:100]}")
    ending = _ENDS_SCRIPT.search(body)
    if ending:
        raise PageError(f"{path}: {ending[0]} would end the page's script. Write it in two parts.")
