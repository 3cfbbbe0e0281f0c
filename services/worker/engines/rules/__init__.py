"""Takes the values of a schema out of forms, invoices, receipts and tables, by rules: no model, no network.

It reads labels, columns and tables of text that was parsed before, and abstains where it finds none: a value
comes with the source text it was read from, or it is null. It does not read prose.
"""

from services.worker.engines.rules.engine import ENGINE, extract

__all__ = ["ENGINE", "extract"]
