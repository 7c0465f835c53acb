"""Rules out of TOML: what they mean, and what is said of what they cannot mean."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from helpers.pages import BLOCKS
from helpers.samples import MOVED, RM, WITHOUT_FACTS
from rawtp._alert import rules
from rawtp._alert.toml_file import RuleError

NOTIFY = '[notify.n]\ntype = "journald"\n'


def parsed(text: str, **environment: str) -> rules.RuleSet:
    return rules.parse(text.encode(), environment)


def one(text: str) -> rules.Rule:
    [rule] = parsed(f'{NOTIFY}\n[[rules]]\nname = "r"\nnotify = "n"\n{text}\n').rules
    return rule


@pytest.mark.parametrize(
    ("text", "changes", "expected"),
    [
        ("", {}, True),
        ("", {"ret": -2, "errno": "ENOENT"}, False),
        ('outcome = "failed"', {"ret": -2, "errno": "ENOENT"}, True),
        ('outcome = "failed"', {"ret": None}, False),
        ('outcome = "any"', {"ret": -2}, True),
        ('path = "/tmp"', {}, True),
        # By the fact, not by what the process said.
        ('path = "/tmp"', {"real_path": "/srv/x"}, False),
        ('path = "/srv"', {"real_path": "/srv/x"}, True),
        ('path = "/tmp"', {"real_path": None}, True),
        # The name in a chroot is not that of the host.
        ('path = "/tmp"', {"real_path": None, "host_path": "/jail/tmp/x"}, False),
        ('path = "/jail"', {"real_path": None, "host_path": "/jail/tmp/x"}, True),
        ('path = "/tmp"', {"real_path": None, "path": None}, False),
        ('path = "/tmp"', {"real_path": None, "path": "tmp/x"}, False),
        ('path = ["/a", "/tmp/*.txt"]', {}, True),
        ('path = "/tmp"\nnot_path = "/tmp/*.txt"', {}, False),
        ('comm = "r?"', {}, True),
        ('comm = ["systemd-tmpfile", "systemd-tmpfi[lm]*", "rm"]', {}, True),
        (r"comm = 'abcdefg\\xc3\\xb6\\xc3'", {"comm": r"abcdefg\xc3\xb6\xc3"}, True),
        ('comm = ["mv", "cp"]', {}, False),
        ('not_comm = "rm"', {}, False),
        ('exe = "/usr/bin/*"', {}, True),
        ('exe = "/usr/bin/rm"', {"exe": "/usr/bin/rm (deleted)"}, True),
        ('exe = "*"', {"exe": None}, False),
        ('not_exe = "*"', {"exe": None}, True),
        ("user = 1000", {}, True),
        ("user = [0, 7]", {}, False),
        ("user = 0", {"fsuid": 0}, True),
        ("login = 1000", {"uid": 0, "euid": 0}, True),
        ("login = 1000", {"auid": None}, False),
        ('unit = "session-*.scope"', {}, True),
        ('container = "*"', {}, False),
        ('container = "*"', {"container_id": "4f1c"}, True),
        ('container = "4f"', {"container_id": "4f1c"}, True),
        ('not_container = "*"', {"container_id": "4f1c"}, False),
        ('action = ["rmdir", "delete"]', {}, True),
        ('not_action = "delete"', {}, False),
        ('min_size = "4KiB"', {}, True),
        ("min_size = 4097", {}, False),
        ("max_size = 4096", {}, True),
        ("max_size = 4095", {}, False),
        ("min_size = 1", {"size": None}, False),
        # What a truncation leaves is not lost.
        ("min_size = 4000", {"action": "truncate", "length": 1000}, False),
        ("min_size = 3000", {"action": "truncate", "length": 1000}, True),
        ("min_size = 10", {"action": "punch", "range_length": 10}, True),
    ],
)
def test_conditions(text: str, changes: dict[str, Any], expected: bool) -> None:
    assert one(text).matches({**RM, **changes}) is expected


@pytest.mark.parametrize(
    ("text", "event", "expected"),
    [
        ('path = "/srv/new"', MOVED, True),
        ('path = "/srv/db"', MOVED, True),
        # A directory above is moved, and takes it along.
        ('path = "/srv/new/x/*.db"', MOVED, True),
        ('path = "/srv"', MOVED, True),
        ('path = "/tmp"', MOVED, False),
        ("min_size = 1572864", MOVED, True),
        ("min_size = 1572865", MOVED, False),
        ('path = "/tmp/test.txt"', WITHOUT_FACTS, True),
        # To delete a directory above, it must be empty.
        ('path = "/tmp/test.txt/x"', RM, False),
    ],
)
def test_conditions_on_other_events(text: str, event: dict[str, Any], expected: bool) -> None:
    assert one(text).matches(event) is expected


def test_defaults() -> None:
    rule = one("")
    assert (rule.count, rule.window_ns, rule.cooldown_ns, rule.by, rule.is_loss) == (1, 0, 60 * 10**9, (), False)


def test_all_that_a_rule_can_say() -> None:
    rule = one('count = 1000\nwindow = "1m30s"\ncooldown = 0\nby = ["pid", "directory"]')
    assert (rule.count, rule.window_ns, rule.cooldown_ns) == (1000, 90 * 10**9, 0)
    assert rule.by == ("pid", "directory")
    assert one("loss = true").is_loss


HEAD = f'{NOTIFY}[[rules]]\nname = "r"\nnotify = "n"\n'  # five lines


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", None, "it has no [[rules]]"),
        ("rules = 1", 1, "'rules' must be tables: write [[rules]]"),
        ("[[rules]]\n", 1, "a rule needs a name"),
        ("\n\n[[rules]]\nname = 'r'\n", 3, "rule 'r' has no notify: whom is it to tell?"),
        ("x = = 1\n", 1, "Invalid value"),
        ("[[rules]]\nname = 'r", None, "at the end of the file"),
        ("[[rules]]\nname = '''r", None, "Expected \"'''\", at the end of the file"),
        (f"{HEAD}paht = '/x'\n", 6, "unknown key 'paht'; did you mean 'path'?"),
        (f"{HEAD}zzzz = 1\n", 6, "unknown key 'zzzz': it can have name, notify, count"),
        (f"{HEAD}# a comment\n\npath = 'srv'\n", 8, "path: 'srv' is not absolute"),
        (f"{HEAD}path = [\n  '/x',\n  '/[',\n]\n", 6, "path: '[': no ] closes the [ at character"),
        (f"{HEAD}path = []\n", 6, "path: it is empty"),
        (f"{HEAD}path = ['']\n", 6, "path: a text is empty"),
        (f"{HEAD}comm = 1\n", 6, "comm: 1 is no text"),
        *(
            (
                f"{HEAD}{key} = ['rm', {text!r}]\n",
                6,
                f"{key}: {text!r} can match no process: the kernel keeps the first 15 bytes of a name",
            )
            for key, text in (
                ("comm", "systemd-tmpfiles"),
                ("comm", "*unattended-upg?[a-z]*"),
                ("not_comm", "0123456789abcdef"),
                ("comm", "éééééééé"),
            )
        ),
        (f"{HEAD}user = 'nobody-of-that-name'\n", 6, "user: there is no user 'nobody-of-that-name'"),
        (f"{HEAD}user = -1\n", 6, "user: -1 is neither a user's name nor a number"),
        (f"{HEAD}user = true\n", 6, "user: True is neither"),
        (f"{HEAD}action = 'remove'\n", 6, "action: 'remove' is none of delete, rmdir"),
        (f"{HEAD}outcome = 'good'\n", 6, "outcome: 'good' is none of ok, failed, any"),
        (f"{HEAD}count = 0\nwindow = '1s'\n", 6, "count: 0 is not a whole number from 1 to 100000"),
        (f"{HEAD}count = true\nwindow = '1s'\n", 6, "count: True is not a whole number"),
        (f"{HEAD}count = 5\n", 6, "count needs window"),
        (f"{HEAD}window = '5s'\n", 6, "window needs count"),
        (f"{HEAD}count = 5\nwindow = 'soon'\n", 7, "window: 'soon' is not a time above 0"),
        (f"{HEAD}cooldown = -1\n", 6, "cooldown: '-1' is not a time above 0"),
        (f"{HEAD}cooldown = '999999d'\n", 6, "cooldown: '999999d' is more than a year"),
        (f"{HEAD}by = ['color']\n", 6, "by: 'color' is none of pid"),
        (f"{HEAD}min_size = '2 apples'\n", 6, "min_size: '2 apples' is not a number of bytes"),
        (f"{HEAD}min_size = 10\nmax_size = 9\n", 7, "max_size is less than min_size"),
        (f"{HEAD}loss = true\npath = '/x'\n", 7, "loss = true goes with no 'path'"),
        (f"{HEAD}loss = 'yes'\n", 6, "loss: 'yes' is neither true nor false"),
        (f"{NOTIFY}[[rules]]\nname = 'r'\nnotify = 'm'\n", 5, "notify: there is no [notify.m]"),
        (f"{NOTIFY}[[rules]]\nname = 'a b'\n", 4, "name: 'a b' is no name"),
        (f"{HEAD}[[rules]]\nname = 'r'\nnotify = 'n'\n", 7, "there is another rule 'r'"),
        (f"{HEAD}[notify.m]\ntype = 'journald'\n", 6, "no rule has notify = 'm'"),
        (
            "[notify.n]\ntype = 'mail'\n[[rules]]\n",
            1,
            "type = 'mail': it must be one of 'command', 'webhook', 'journald'",
        ),
        ("[notify.n]\n[[rules]]\n", 1, "type = None"),
        ("notify = 3\n[[rules]]\n", 1, "'notify' must be tables: write [notify.NAME]"),
        ("[notify.n]\ntype = 'journald'\nprio = 1\n[[rules]]\n", 3, "unknown key 'prio'; did you mean 'priority'?"),
        ("[notify.n]\ntype = 'journald'\npriority = 'loud'\n[[rules]]\n", 3, "priority: 'loud' is none of emerg"),
        ("[notify.n]\ntype = 'command'\n[[rules]]\n", 1, "it needs 'argv'"),
        ("[notify.n]\ntype = 'command'\nargv = 'ls'\n[[rules]]\n", 3, "argv: 'ls' is not of the type list"),
        ("[notify.n]\ntype = 'command'\nargv = ['ls']\n[[rules]]\n", 3, "argv: 'ls' is not absolute"),
        (
            "[notify.n]\ntype = 'command'\nargv = ['/none']\n[[rules]]\n",
            3,
            "argv: '/none' is no program that can be run",
        ),
        (
            "[notify.n]\ntype = 'command'\nargv = [\n'/bin/true'\n]\ntimeout = '1h'\n[[rules]]\n",
            6,
            "timeout: '1h' is more than 300 s",
        ),
        ("[notify.n]\ntype = 'command'\nargv = ['/bin/true']\nparallel = 99\n[[rules]]\n", 4, "parallel: 99 is not"),
        ("[notify.n]\ntype = 'webhook'\nurl = 'http://example.org/'\n[[rules]]\n", 3, "is not encrypted"),
        ("[notify.n]\ntype = 'webhook'\nurl = 'ftp://x'\n[[rules]]\n", 3, "does not begin with https://"),
        ("[notify.n]\ntype = 'webhook'\nurl = 'https://u:p@x/'\n[[rules]]\n", 3, "url: a password in it would be seen"),
        ("[notify.n]\ntype = 'webhook'\nurl = 'https://x:99999/'\n[[rules]]\n", 3, "Port out of range"),
        ("[notify.n]\ntype = 'webhook'\nurl = \"https://x/\\u00e9\"\n[[rules]]\n", 3, "characters that no URL has"),
        (
            "[notify.n]\ntype = 'webhook'\nurl = 'https://x'\nsecret_env = 'NONE'\n[[rules]]\n",
            4,
            "secret_env: the variable 'NONE' is not set",
        ),
        (
            "[notify.n]\ntype = 'webhook'\nurl = 'https://x'\nsecret_file = '/none'\n[[rules]]\n",
            4,
            "/none: No such file or directory",
        ),
        (
            '[notify.n]\ntype = "webhook"\nurl = "https://x"\nheaders = {"A b" = "c"}\n[[rules]]\n',
            4,
            "headers: 'A b' is no header's name",
        ),
        (
            '[notify.n]\ntype = "webhook"\nurl = "https://x"\nheaders = {A = "b\\r\\nC: d"}\n[[rules]]\n',
            4,
            "headers: the value of A is no printable ASCII text",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, line: int | None, reason: str) -> None:
    with pytest.raises(RuleError) as caught:
        parsed(text)
    assert reason in str(caught.value)
    assert caught.value.line == line
    assert str(caught.value).startswith(f"line {line}: " if line else caught.value.reason)


def test_a_text_of_many_lines_does_not_mislead() -> None:
    """What reads like a header, or a key, in a text is none."""
    text = f"{HEAD}exe = '''\n[[rules]]\nname = 'r'\npath = 1\n'''\n[[rules]]\nname = 'q'\nnotify = 'n'\npath = 1\n"
    with pytest.raises(RuleError, match=r"^line 14: path: 1 is no text"):
        parsed(text)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff", "line 1: it is not UTF-8"),
        (b"a = 1\n\xff", "line 2: it is not UTF-8"),
        (b"#" * (1 << 20) + b"\n", "it is larger than 1048576 bytes"),
        (b"a = " + b"[" * 100_000, "nested|maximum|large"),
    ],
)
def test_files_that_are_none(data: bytes, reason: str) -> None:
    with pytest.raises(RuleError, match=reason):
        rules.parse(data, {})


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        rules.load(str(tmp_path / "none"), {})
    with pytest.raises(IsADirectoryError):
        rules.load(str(tmp_path), {})
    # Nobody writes to it, and nothing waits.
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(RuleError, match="it has no"):
        rules.load(str(tmp_path / "fifo"), {})


def test_secrets_are_their_owners(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    text = f"[notify.n]\ntype = 'webhook'\nurl = 'https://x'\nsecret_file = '{secret}'\n[[rules]]\nname='r'\nnotify='n'"
    secret.write_text("s3cret\n")
    secret.chmod(0o644)
    with pytest.raises(RuleError, match="line 4: secret_file: everybody can read"):
        parsed(text)
    secret.chmod(0o600)
    assert parsed(text).needs_network
    secret.write_text("\n")
    with pytest.raises(RuleError, match="is empty"):
        parsed(text)


def test_without_a_parser_of_toml(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in Python 3.10 without tomli."""

    def nothing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("rawtp._alert.toml_file.import_module", nothing)
    with pytest.raises(RuleError, match=r"use Python 3\.11 or later, or install the package tomli"):
        parsed(HEAD)


def test_the_rules_of_the_documentation(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    secret.chmod(0o600)
    blocks = [block.source for block in BLOCKS if block.language == "toml" and block.page == "docs/how-to/alerts.md"]
    assert len(blocks) == 3
    for source in blocks:
        text = source.replace("/etc/rawtp/chat.secret", str(secret)).replace("/usr/local/bin/page", "/bin/true")
        if "[[rules]]" not in text:
            name = text.partition("[notify.")[2].partition("]")[0]
            text += f"[[rules]]\nname = 'r'\nnotify = '{name}'\n"
        parsed(text)
    [mass] = [rule for rule in parsed(blocks[0].replace("/etc/rawtp/chat.secret", str(secret))).rules if rule.by]
    assert (mass.name, mass.count, mass.window_ns, mass.by) == ("mass-deletion", 1000, 10 * 10**9, ("pid",))
