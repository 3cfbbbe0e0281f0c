"""Walls of the house: sizes, names, the one commit, small ports, links by foreign key only."""

import ast
import re
from pathlib import Path

import pytest

from tests.architecture.sources import calls_of, parsed, python_files, relative

LINES_OF_A_FILE = 400
LINES_OF_A_FUNCTION = 40
METHODS_OF_A_PORT = 5

# "file::function" -> why its signature may be long. Its body may not, and a file is never excused.
LONG_SIGNATURES = {
    "services/cli/run/command.py::run": "each argument is an option of the command line with its help",
}

EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "core", "misc", "manager"}

CODE = python_files("services", "shared")
CODE_AND_TESTS = [*CODE, *python_files("tests")]


def names(paths: list[Path]) -> list[str]:
    return [relative(path) for path in paths]


@pytest.mark.parametrize("path", CODE_AND_TESTS, ids=names(CODE_AND_TESTS))
def test_no_file_is_long(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LINES_OF_A_FILE, f"{lines} lines; split it by reader"


def length_of(function: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> int:
    """From `def` to its end; for an excused signature from its first statement after the docstring."""
    start = function.lineno
    if name in LONG_SIGNATURES:
        start = function.body[0].lineno if ast.get_docstring(function) is None else function.body[1].lineno
    return (function.end_lineno or start) - start + 1


@pytest.mark.parametrize("path", CODE, ids=names(CODE))
def test_no_function_is_long(path: Path) -> None:
    lengths = {
        name: length_of(node, name)
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for name in [f"{relative(path)}::{node.name}"]
    }
    assert not {name: lines for name, lines in lengths.items() if lines > LINES_OF_A_FUNCTION}


def test_nothing_is_excused_that_is_gone() -> None:
    for name, reason in LONG_SIGNATURES.items():
        file, function = name.split("::")
        (path,) = [path for path in CODE if relative(path) == file]
        assert reason
        assert function in {n.name for n in ast.walk(parsed(path)) if isinstance(n, ast.FunctionDef)}


def test_names_say_what_is_inside() -> None:
    every = {part for path in CODE_AND_TESTS for part in relative(path).removesuffix(".py").split("/")}
    assert not every & EMPTY_NAMES


def test_only_the_unit_of_work_commits_a_session() -> None:
    """Elsewhere `uow.commit()` is the only commit there is, so no bell goes out before its rows."""
    commits = [
        (relative(path), line, called)
        for path in CODE
        for called, line in calls_of(path)
        if called.endswith(".commit") and called not in ("uow.commit", "self.uow.commit")
    ]
    assert [(file, called) for file, _, called in commits] == [
        ("shared/db/unit_of_work.py", "self.session.commit")
    ]


def test_statements_are_written_and_never_committed() -> None:
    """A repository takes a session and leaves the end of the transaction to its caller."""
    statements = [
        p
        for p in CODE
        if p.stem
        in ("repository", "ledger", "orchestration", "draining", "redriving", "pauses", "survey", "model")
    ]
    assert not [
        f"{relative(path)}:{line} {called}"
        for path in statements
        for called, line in calls_of(path)
        if called.rsplit(".", 1)[-1] in ("commit", "rollback", "ring", "publish", "close")
    ]


@pytest.mark.parametrize(
    ("call", "homes"),
    [
        (
            r"(engine|connection|session)\.begin(_nested)?$",
            {"shared/db/migrations.py", "shared/db/savepoint.py"},
        ),
        (r"(^|\.)create_async_engine$", {"shared/db/engine.py"}),
        (r"(^|\.)async_sessionmaker$", {"shared/db/unit_of_work.py"}),
        (r"\.(create_all|drop_all)$", set()),
        (r"(^|\.)relationship$", set()),
        (r"(^|\.)(apply_async|send_task)$", {"shared/queue/celery_queue.py"}),
        (r"^(asyncio\.run|run_until_complete)$", None),
    ],
    ids=["transactions", "pools", "sessions", "schema", "links", "bells", "loops"],
)
def test_some_calls_have_one_home(call: str, homes: set[str] | None) -> None:
    """Homes of None: the doors, where a process begins its one loop. A loop per task breaks pooled
    connections, so no task may open one."""
    found = {relative(path) for path in CODE for called, _ in calls_of(path) if re.search(call, called)}
    if homes is None:
        assert not [file for file in found if re.match(r"shared/|services/worker/(tasks|engines/port)", file)]
    else:
        assert found <= homes


def test_sql_text_ends_no_transaction() -> None:
    word = re.compile(r"^\s*(COMMIT|ROLLBACK|BEGIN|SAVEPOINT)\b", re.IGNORECASE)
    assert not [
        f"{relative(path)}:{node.lineno}"
        for path in CODE
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "text"
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and word.match(str(node.args[0].value))
    ]


def test_a_port_is_small() -> None:
    """Five methods are a port; more are two ports."""
    ports = {
        f"{relative(path)}::{node.name}": sum(
            isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) for part in node.body
        )
        for path in CODE
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Protocol" for base in node.bases)
    }
    assert ports, "no port found: does this test still look in the right place?"
    assert not {port: methods for port, methods in ports.items() if methods > METHODS_OF_A_PORT}


def test_the_unit_of_work_comes_first() -> None:
    wrong = [
        f"{relative(path)}::{node.name}"
        for path in CODE
        if relative(path).startswith("shared/")
        for node in parsed(path).body
        if isinstance(node, ast.AsyncFunctionDef)
        for place, argument in enumerate(node.args.args + node.args.kwonlyargs)
        if argument.annotation and ast.unparse(argument.annotation) == "UnitOfWork" and place > 0
    ]
    assert not wrong


def test_the_database_tells_the_time() -> None:
    """Leases, due times and limits use the clock of the database; Python passes durations only."""
    assert not [
        f"{relative(path)}:{line} {called}"
        for path in CODE
        if relative(path).startswith(("shared/batches/", "shared/jobs/", "shared/lanes/", "shared/workers/"))
        for called, line in calls_of(path)
        if re.fullmatch(r"(datetime\.)?datetime\.(now|utcnow)|time\.time", called)
    ]
