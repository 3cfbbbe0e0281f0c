"""All tables, for Alembic and the tests."""

from sqlalchemy import MetaData

from shared.answers.model import Answer
from shared.audit.model import AuditEvent
from shared.batches import ownership
from shared.batches.model import Batch, BatchEvent
from shared.configurations.model import Configuration
from shared.db.base import Base
from shared.directories.model import Directory, DirectoryFile
from shared.files.model import File
from shared.installation.model import Fact
from shared.jobs.model import Chunk, Job, ReusableResult
from shared.lanes.model import Lane
from shared.projects.model import ApiKey, ConsoleSession, Organization, Project
from shared.retention.model import Chore, DoomedBlob, Purge, Retention
from shared.webhooks.model import WebhookConfig, WebhookDelivery, WebhookEndpoint
from shared.workers.model import Sweep, Tally, Worker

TABLES = (
    Organization,
    Project,
    ApiKey,
    ConsoleSession,
    File,
    Configuration,
    WebhookConfig,
    WebhookEndpoint,
    WebhookDelivery,
    Directory,
    DirectoryFile,
    Lane,
    Batch,
    BatchEvent,
    Job,
    ReusableResult,
    Chunk,
    Worker,
    Sweep,
    Tally,
    AuditEvent,
    Answer,
    Fact,
    Retention,
    DoomedBlob,
    Purge,
    Chore,
)

metadata: MetaData = Base.metadata
ownership.declare(metadata)
