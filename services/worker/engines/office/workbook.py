"""Excel workbooks (xlsx, xlsm): one page for each sheet that is shown, as one table of its values.

Values are those that Excel stored; no formula is worked out and no macro is run. Blank rows and the blank
cells at the end of rows are left out. A hidden sheet is left out, and named in `hidden_sheets`.
"""

import datetime as dt
import warnings
from typing import Any, Final

from services.worker.engines.blocks import Cell, Heading, Table
from services.worker.engines.office import endless
from services.worker.engines.office.package import Package, damaged
from services.worker.engines.office.pages import Sheets, trimmed
from services.worker.engines.port import Refused
from shared.jobs.codes import FailureCode

_MOST_ROWS: Final = 1_048_576
_MOST_COLUMNS: Final = 16_384
_MOST_WALKED: Final = 50_000_000
_MIDNIGHT: Final = dt.time()


def read(package: Package) -> Sheets:
    """The sheets of the workbook. Refuses one that is damaged, or has too many cells, or a row without an
    end."""
    from openpyxl import load_workbook  # noqa: PLC0415  (a third of a second that other documents do not need)

    endless.look(package)
    sheets = Sheets("xlsx")
    hidden: list[str] = []
    # What openpyxl raises for a broken part is not told apart: KeyError, ValueError, TypeError and others.
    try:
        with package.path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
            for sheet in book.worksheets:
                if sheet.sheet_state == "visible":
                    _sheet(sheet, sheets)
                else:
                    hidden.append(sheet.title)
    except (Refused, MemoryError, OSError):
        raise
    except Exception as error:
        raise damaged(f"the workbook cannot be read ({type(error).__name__})") from error
    sheets.facts["sheets"] = [
        page.blocks[0].text for page in sheets.pages if isinstance(page.blocks[0], Heading)
    ]
    if hidden:
        sheets.facts["hidden_sheets"] = hidden
    return sheets


def _sheet(sheet: Any, sheets: Sheets) -> None:
    sheets.begin()
    sheets.add(Heading(1, sheet.title))
    # What the sheet says of its size may be wrong; its cells are counted instead.
    sheet.reset_dimensions()
    rows: list[list[Cell]] = []
    walked = 0
    for number, values in enumerate(sheet.iter_rows(values_only=True)):
        walked += len(values) + 1
        if number >= _MOST_ROWS or len(values) > _MOST_COLUMNS or walked > _MOST_WALKED:
            raise Refused(
                FailureCode.DOCUMENT_TOO_LARGE, "A sheet of the workbook spans more cells than are looked at."
            )
        row = trimmed([_value(value) for value in values])
        if row:
            sheets.count(row)
            rows.append(row)
    if rows:
        sheets.add(Table(rows))


def _value(value: Any) -> Cell:
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float) and value != value:  # noqa: PLR0124  (not a number has no form in JSON)
        return None
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, dt.datetime) and value.time() == _MIDNIGHT:
        return value.date().isoformat()
    return value.isoformat(" ") if isinstance(value, dt.datetime) else str(value)
