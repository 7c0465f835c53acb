"""Rules out of a TOML file, checked: what is wrong is an error with its line."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from rawtp import _root, _units
from rawtp._alert import conditions
from rawtp._alert.notifiers import KINDS
from rawtp._alert.notifiers.command import Command
from rawtp._alert.notifiers.webhook import Webhook
from rawtp._alert.patterns import PathPattern, TextPattern
from rawtp._alert.reach import Scope
from rawtp._alert.toml_file import Document, RuleError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from rawtp._alert.conditions import Condition
    from rawtp._alert.notifiers.base import Notifier
    from rawtp._alert.toml_file import Key

MAX_COUNT = 100_000
MAX_RULES = 1000
BY = ("pid", "uid", "comm", "exe", "unit", "container_id", "pod_id", "directory", "path", "real_path")
"""The keys that a rule can count by. ``directory`` is that of the path."""

_ACTIONS = ("delete", "rmdir", "rename", "truncate", "punch", "zero", "collapse")
_OUTCOMES = ("ok", "failed", "any")
_NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)
_TEXTS = ("comm", "exe", "unit")
_NAMES = ("container_name", "pod", "namespace", "image")
_COMM_BYTES = 15
"""Of a command's name without its NUL (``TASK_COMM_LEN``, ``prctl(2)``)."""
_COOLDOWN_S = 60.0


@dataclass(frozen=True)
class Rule:
    """A rule: conditions that must all hold, how many events within which time, and whom to tell."""

    name: str
    conditions: tuple[Condition, ...]
    notify: tuple[str, ...]
    count: int = 1
    window_ns: int = 0
    cooldown_ns: int = int(_COOLDOWN_S * 1e9)
    by: tuple[str, ...] = ()
    is_loss: bool = False
    needs_names: bool = False
    scope: Scope = field(default_factory=Scope)

    def matches(self, event: Mapping[str, Any]) -> bool:
        """Tell whether all conditions hold."""
        for condition in self.conditions:  # noqa: SIM110 - in half the time of all()
            if not condition(event):
                return False
        return True


@dataclass(frozen=True)
class RuleSet:
    """The rules and the notifiers of a file."""

    rules: tuple[Rule, ...]
    notifiers: Mapping[str, Notifier]

    @property
    def programs(self) -> list[str]:
        """The programs that its commands run."""
        return [one.program for one in self.notifiers.values() if isinstance(one, Command)]

    @property
    def needs_network(self) -> bool:
        """Whether a notifier calls a server."""
        return any(isinstance(one, Webhook) for one in self.notifiers.values())


def parse(data: bytes, environment: Mapping[str, str], root: str = "/") -> RuleSet:
    """Make rules of a TOML document. ``environment`` has the secrets that notifiers name; ``root`` is where the root of
    the host is mounted whose users they name.

    Raises:
        RuleError: it is wrong. The message has the line and the reason.
    """
    document = Document(data)
    top = document.values
    with _at(document):
        _known(document, (), top, ("rules", "notify"))
        tables = _tables(document, top, "rules")
        if not tables:
            raise RuleError("it has no [[rules]]")
        if len(tables) > MAX_RULES:
            raise RuleError(f"it has {len(tables)} rules; {MAX_RULES} are the most")
    notifiers = dict(_notifiers(document, top.get("notify", {}), environment))
    rules: list[Rule] = []
    for number, table in enumerate(tables):
        rule = _Reader(document, ("rules", number), table, root).rule(notifiers)
        if any(rule.name == other.name for other in rules):
            raise RuleError(f"there is another rule {rule.name!r}", document.line("rules", number, "name"))
        rules.append(rule)
    used = {name for rule in rules for name in rule.notify}
    for name in notifiers:
        if name not in used:
            raise RuleError(f"no rule has notify = {name!r}", document.line("notify", name))
    return RuleSet(tuple(rules), notifiers)


def load(path: str, environment: Mapping[str, str], root: str = "/") -> RuleSet:
    """Read and parse a file of this process's own.

    Raises:
        RuleError: as :func:`parse`.
        OSError: it cannot be read.
    """
    # Not a FIFO that nobody writes to.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    with os.fdopen(fd, "rb") as file:
        data = file.read((1 << 20) + 1)
    return parse(data or b"", environment, root)


@contextmanager
def _at(document: Document, *keys: Key) -> Iterator[None]:
    """Give an error the line of these keys, where it has none."""
    try:
        yield
    except RuleError as error:
        if error.line is not None:
            raise
        raise RuleError(error.reason, document.line(*keys)) from None
    except (ValueError, OSError) as error:
        text = error.strerror if isinstance(error, OSError) else None
        name = f"{error.filename}: " if isinstance(error, OSError) and isinstance(error.filename, str) else ""
        raise RuleError(f"{name}{text or error}", document.line(*keys)) from None


def _known(document: Document, place: tuple[Key, ...], table: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    for key in table:
        if key not in keys:
            from difflib import get_close_matches  # only where something is wrong

            near = get_close_matches(key, keys, 1, cutoff=0.6)
            hint = f"; did you mean {near[0]!r}?" if near else f": it can have {', '.join(keys)}"
            raise RuleError(f"unknown key {key!r}{hint}", document.line(*place, key))


def _tables(document: Document, top: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    tables = top.get(key, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise RuleError(f"{key!r} must be tables: write [[{key}]]", document.line(key))
    return tables


def _notifiers(document: Document, tables: object, environment: Mapping[str, str]) -> Iterator[tuple[str, Notifier]]:
    if not isinstance(tables, dict):
        raise RuleError("'notify' must be tables: write [notify.NAME]", document.line("notify"))
    for name, table in tables.items():
        place = ("notify", name)
        with _at(document, *place):
            if not _NAME.fullmatch(name):
                raise RuleError(f"{name!r} is no name: letters, digits, _ . - will do")
            if not isinstance(table, dict):
                raise RuleError(f"'notify' must be tables: write [notify.{name}]")
            kind = table.get("type")
            if not isinstance(kind, str) or kind not in KINDS:
                raise RuleError(f"type = {kind!r}: it must be one of {', '.join(map(repr, KINDS))}")
        values = {key: value for key, value in table.items() if key != "type"}
        _known(document, place, values, KINDS[kind].KEYS)
        at: list[str] = []
        try:
            yield name, KINDS[kind].from_table(name, values, environment, at)
        except (RuleError, ValueError, OSError) as error:
            # The key that was read last is the one that is wrong.
            last = at[-1] if at and at[-1] in values else None
            with _at(document, *place, *([last] if last else [])):
                raise error from None


def _check_comms(texts: list[str]) -> None:
    for text in texts:
        # A byte that is no UTF-8 is four characters of an event.
        in_bytes = re.sub(r"\\\\x[0-9a-f]{2}", "?", text).encode().decode("latin-1")
        if TextPattern(in_bytes).shortest > _COMM_BYTES:
            raise RuleError(f"{text!r} can match no process: the kernel keeps the first {_COMM_BYTES} bytes of a name")


class _Reader:
    """Reads one rule."""

    def __init__(self, document: Document, place: tuple[Key, ...], table: dict[str, Any], root: str) -> None:
        self._document = document
        self._place = place
        self._table = table
        self._root = root

    def rule(self, notifiers: Mapping[str, Notifier]) -> Rule:
        name = self._read("name", self._name)
        if name is None:
            raise RuleError("a rule needs a name", self._document.line(*self._place))
        negatable = ("path", *_TEXTS, "user", "login", "container", "action", *_NAMES)
        own = ("name", "notify", "count", "window", "cooldown", "by", "outcome", "min_size", "max_size", "loss")
        _known(self._document, self._place, self._table, (*own, *negatable, *(f"not_{key}" for key in negatable)))
        notify = self._read("notify", lambda value: self._names_of(value, notifiers))
        if not notify:
            raise RuleError(f"rule {name!r} has no notify: whom is it to tell?", self._document.line(*self._place))
        is_loss = self._read("loss", self._yes) or False
        count = self._read("count", lambda value: self._whole(value, 1, MAX_COUNT)) or 1
        window_s = self._read("window", self._seconds)
        cooldown_s = self._read("cooldown", lambda value: self._seconds(value, may_be_none=True))
        if count > 1 and window_s is None:
            raise RuleError("count needs window: within which time?", self._document.line(*self._place, "count"))
        if count == 1 and window_s is not None:
            raise RuleError("window needs count: how many events?", self._document.line(*self._place, "window"))
        by = self._read("by", lambda value: tuple(self._one_of(text, BY) for text in self._texts(value))) or ()
        if is_loss:
            for key in self._table:
                if key not in {"name", "notify", "cooldown", "loss"}:
                    raise RuleError(
                        f"loss = true goes with no {key!r}: nothing is known of an event that was lost",
                        self._document.line(*self._place, key),
                    )
        return Rule(
            name=name,
            conditions=() if is_loss else tuple(self._conditions(negatable)),
            notify=notify,
            count=count,
            window_ns=int((window_s or 0.0) * 1e9),
            cooldown_ns=int((_COOLDOWN_S if cooldown_s is None else cooldown_s) * 1e9),
            by=by,
            is_loss=is_loss,
            scope=Scope() if is_loss else Scope.from_table(self._table),
            needs_names=any(key.removeprefix("not_") in _NAMES for key in self._table),
        )

    def _conditions(self, negatable: tuple[str, ...]) -> Iterator[Condition]:
        """The conditions, the cheapest and most selective first."""
        outcome = self._read("outcome", lambda value: self._one_of(value, _OUTCOMES)) or "ok"
        if outcome != "any":
            yield conditions.has_outcome(outcome)
        order = sorted(negatable, key=lambda key: key not in {"action", "user", "login", "comm", "path"})
        for key in order:
            for name, change in ((key, None), (f"not_{key}", conditions.is_not)):
                found = self._read(name, partial(self._condition, key))
                if found is not None:
                    yield change(found) if change else found
        smallest = self._read("min_size", self._bytes)
        largest = self._read("max_size", self._bytes)
        if smallest is not None or largest is not None:
            if largest is not None and largest < (smallest or 0):
                raise RuleError("max_size is less than min_size", self._document.line(*self._place, "max_size"))
            yield conditions.has_size(smallest or 0, largest)

    def _condition(self, key: str, value: object) -> Condition:
        if key == "path":
            return conditions.is_of_path([PathPattern(text) for text in self._texts(value)])
        if key == "exe":
            return conditions.is_exe([TextPattern(text) for text in self._texts(value)])
        if key == "user":
            return conditions.is_user(frozenset(self._users(value)))
        if key == "login":
            return conditions.is_login(frozenset(self._users(value)))
        if key == "container":
            return conditions.is_container(tuple(self._texts(value)))
        if key == "action":
            actions = [self._one_of(text, _ACTIONS) for text in self._texts(value)]
            return conditions.is_one_of("action", frozenset(actions))
        texts = self._texts(value)
        if key == "comm":
            _check_comms(texts)
        return conditions.is_text(key, [TextPattern(text) for text in texts])

    def _read(self, key: str, convert: Callable[[Any], Any]) -> Any:
        """The value of a key as this makes it; None where there is none."""
        if key not in self._table:
            return None
        with _at(self._document, *self._place, key):
            try:
                return convert(self._table[key])
            except ValueError as error:
                reason = error.reason if isinstance(error, RuleError) else str(error)
                raise RuleError(f"{key}: {reason}") from None

    @staticmethod
    def _name(value: object) -> str:
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            raise RuleError(f"{value!r} is no name: letters, digits, _ . - will do")
        return value

    @staticmethod
    def _texts(value: object) -> list[str]:
        values: list[Any] = value if isinstance(value, list) else [value]
        if not values:
            raise RuleError("it is empty")
        for one in values:
            if not isinstance(one, str):
                raise RuleError(f"{one!r} is no text")
            if not one:
                raise RuleError("a text is empty")
        return values

    def _names_of(self, value: object, notifiers: Mapping[str, Notifier]) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(self._texts(value)))
        for name in names:
            if name not in notifiers:
                raise RuleError(f"there is no [notify.{name}]")
        return names

    @staticmethod
    def _yes(value: object) -> bool:
        if not isinstance(value, bool):
            raise RuleError(f"{value!r} is neither true nor false")
        return value

    @staticmethod
    def _whole(value: object, smallest: int, largest: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not smallest <= value <= largest:
            raise RuleError(f"{value!r} is not a whole number from {smallest} to {largest}")
        return value

    @staticmethod
    def _seconds(value: object, *, may_be_none: bool = False) -> float:
        if may_be_none and value in (0, "0", "0s") and not isinstance(value, bool):
            return 0.0
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise RuleError(f"{value!r} is no time, such as '10s', '5m' or 30")
        seconds = _units.seconds(str(value))
        if seconds > _MAX_S:
            raise RuleError(f"{value!r} is more than a year")
        return seconds

    @staticmethod
    def _bytes(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            raise RuleError(f"{value!r} is no size, such as '10MiB' or 4096")
        return 0 if value in (0, "0") else _units.size(str(value))

    @staticmethod
    def _one_of(value: object, known: tuple[str, ...]) -> str:
        if not isinstance(value, str) or value not in known:
            raise RuleError(f"{value!r} is none of {', '.join(known)}")
        return value

    def _users(self, value: object) -> Iterator[int]:
        values = value if isinstance(value, list) else [value]
        if not values:
            raise RuleError("it is empty")
        for one in values:
            if isinstance(one, int) and not isinstance(one, bool) and 0 <= one < 1 << 32:
                yield one
            elif isinstance(one, str) and one:
                if (found := _root.user_id(one, self._root)) is None:
                    raise RuleError(f"there is no user {one!r}")
                yield found
            else:
                raise RuleError(f"{one!r} is neither a user's name nor a number")


_MAX_S = 366 * 86400.0
