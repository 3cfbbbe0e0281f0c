"""Office documents and e-mails, without an office program: what is written in them, not how it looks.

Word (docx), Excel (xlsx), PowerPoint (pptx), OpenDocument (odt, ods, odp) and e-mail (eml). Macros, formulas,
embedded files and addresses outside are never followed.
"""

from services.worker.engines.office.engine import parse

__all__ = ["parse"]
