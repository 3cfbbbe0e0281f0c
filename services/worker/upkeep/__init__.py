"""The process that keeps promise 1: it talks to Postgres directly and needs no broker to do its work.

Any number may run: every step takes its rows with SKIP LOCKED, or one mark's lock.
"""

from services.worker.upkeep.process import run

__all__ = ["run"]
