"""Files, directories, configurations and projects through the official client."""

import io

import httpx
import llama_cloud
import pytest
from llama_cloud import LlamaCloud

from shared.ids import Kind, show
from tests.conftest import Tenant

SCHEMA = {"type": "object", "properties": {"total": {"type": "number"}}}


class TestFiles:
    def test_a_file_is_kept_found_read_and_removed(self, client: LlamaCloud) -> None:
        made = client.files.create(
            file=("report.PDF", io.BytesIO(b"bytes")), purpose="user_data", external_file_id="e"
        )
        assert (made.name, made.file_type, made.purpose) == ("report.PDF", "pdf", "user_data")
        assert client.files.retrieve(made.id).external_file_id == "e"
        assert httpx.get(client.files.content(made.id, expires_at_seconds=0).url).content == b"bytes"
        assert [file.id for file in client.files.list(file_name="report.PDF")] == [made.id]
        assert [file.id for file in client.files.list(external_file_id="e")] == [made.id]
        assert [file.id for file in client.files.list(file_ids=[made.id, "fil-x"])] == [made.id]
        client.files.delete(made.id)
        with pytest.raises(llama_cloud.NotFoundError):
            client.files.retrieve(made.id)
        assert list(client.files.list()) == []

    def test_orders(self, client: LlamaCloud) -> None:
        for name in "bca":
            client.files.create(file=(name, b"x"), purpose="parse")
        for order, names in (("name", "abc"), ("id", "bca"), ("created_at", "acb")):
            assert "".join(f.name for f in client.files.list(order_by=order, page_size=2)) == names
        with pytest.raises(llama_cloud.BadRequestError):
            client.files.list(order_by="order_by")

    def test_an_empty_file_is_refused(self, client: LlamaCloud) -> None:
        with pytest.raises(llama_cloud.BadRequestError, match="empty"):
            client.files.create(file=("a", b""), purpose="parse")


class TestDirectories:
    def test_a_directory_is_kept_changed_and_removed(self, client: LlamaCloud) -> None:
        made = client.beta.directories.create(
            name="d", description="what", system_metadata={"a": [1]}, type="user"
        )
        assert (made.description, made.system_metadata, made.expires_at) == ("what", {"a": [1]}, None)
        assert client.beta.directories.update(made.id, name="other").name == "other"
        assert client.beta.directories.get(made.id).description == "what"
        client.beta.directories.delete(made.id)
        with pytest.raises(llama_cloud.NotFoundError):
            client.beta.directories.get(made.id)
        assert list(client.beta.directories.list()) == []
        gone = list(client.beta.directories.list(include_deleted=True))
        assert [one.deleted_at is None for one in gone] == [False]

    def test_lists_know_types(self, client: LlamaCloud) -> None:
        client.beta.directories.create(name="u")
        client.beta.directories.create(name="e", type="ephemeral")
        assert [one.name for one in client.beta.directories.list(type="user")] == ["u"]
        assert [one.name for one in client.beta.directories.list(types=["user", "ephemeral"])] == ["e", "u"]
        assert [one.name for one in client.beta.directories.list(name="e")] == ["e"]

    def test_a_stored_file_is_added(self, client: LlamaCloud) -> None:
        directory = client.beta.directories.create(name="d")
        file = client.files.create(file=("f.txt", b"x"), purpose="parse", external_file_id="ext")
        files = client.beta.directories.files
        entry = files.add(directory.id, file_id=file.id, metadata={"tags": ["a"], "n": 1.5, "no": None})
        assert (entry.file_id, entry.unique_id, entry.display_name) == (file.id, "ext", "f.txt")
        assert entry.metadata == {"tags": ["a"], "n": 1.5, "no": None}
        found = files.get(entry.id, directory_id=directory.id, expand=["download_url"])
        assert found.download_url is not None
        assert httpx.get(found.download_url.url).content == b"x"
        changed = files.update(entry.id, directory_id=directory.id, display_name="new", metadata={"k": True})
        assert (changed.display_name, changed.metadata, changed.unique_id) == ("new", {"k": True}, "ext")
        assert [one.id for one in files.list(directory.id, file_id=file.id)] == [entry.id]
        assert list(files.list(directory.id, file_id="fil-x")) == []
        files.delete(entry.id, directory_id=directory.id)
        assert list(files.list(directory.id)) == []
        assert len(list(files.list(directory.id, include_deleted=True))) == 1

    def test_other_bytes_under_one_unique_id_are_a_conflict_that_is_sent_once(
        self, api_url: str, tenant: Tenant
    ) -> None:
        with LlamaCloud(api_key=tenant.key, base_url=api_url) as retrying:
            directory = retrying.beta.directories.create(name="d")
            retrying.beta.directories.files.upload(directory.id, upload_file=("a", b"x"))
            with pytest.raises(llama_cloud.ConflictError) as caught:
                retrying.beta.directories.files.upload(directory.id, upload_file=("a", b"y"))
        assert caught.value.response.request.headers["x-stainless-retry-count"] == "0"

    def test_a_directory_that_is_gone_takes_nothing(self, client: LlamaCloud) -> None:
        directory = client.beta.directories.create(name="d")
        client.beta.directories.delete(directory.id)
        with pytest.raises(llama_cloud.NotFoundError):
            client.beta.directories.files.upload(directory.id, upload_file=("a", b"x"))


class TestConfigurations:
    def test_a_configuration_is_saved_again_under_its_name(self, client: LlamaCloud) -> None:
        parameters = {"product_type": "parse_v2", "tier": "fast", "version": "latest"}
        first = client.configurations.create(name="n", parameters=parameters)  # type: ignore[arg-type]
        second = client.configurations.create(
            name="n",
            parameters={**parameters, "tier": "agentic"},  # type: ignore[arg-type]
        )
        assert first.id == second.id
        assert second.version > first.version
        assert client.configurations.retrieve(first.id).parameters.tier == "agentic"  # type: ignore[union-attr]

    def test_lists_know_products(self, client: LlamaCloud) -> None:
        for parameters in (
            {"product_type": "parse_v2", "tier": "fast", "version": "latest"},
            {"product_type": "extract_v2", "data_schema": SCHEMA},
            {"product_type": "unknown", "anything": {"goes": None}},
        ):
            client.configurations.create(name="n", parameters=parameters)  # type: ignore[arg-type]
        products = [one.product_type for one in client.configurations.list()]
        assert products == ["unknown", "extract_v2", "parse_v2"]
        wanted = client.configurations.list(product_type=["parse_v2", "unknown"], latest_only=True)
        assert [one.product_type for one in wanted] == ["unknown", "parse_v2"]
        assert list(client.configurations.list(name="m")) == []

    def test_one_is_changed_and_removed(self, client: LlamaCloud) -> None:
        parameters = {"product_type": "parse_v2", "tier": "fast", "version": "latest"}
        made = client.configurations.create(name="n", parameters=parameters)  # type: ignore[arg-type]
        assert client.configurations.update(made.id, name="m").name == "m"
        client.configurations.delete(made.id)
        with pytest.raises(llama_cloud.NotFoundError):
            client.configurations.retrieve(made.id)

    @pytest.mark.parametrize("tier", ["FAST", "COST_EFFECTIVE", "AGENTIC", "AGENTIC_PLUS"])
    def test_presets_are_there_by_id(self, client: LlamaCloud, tier: str) -> None:
        found = client.configurations.retrieve(f"cfg-PARSE_{tier}")
        assert found.product_type == "parse_v2"
        assert found.parameters.tier == tier.lower()  # type: ignore[union-attr]
        assert found.description  # type: ignore[attr-defined]


def test_a_key_shows_its_one_project(client: LlamaCloud, tenant: Tenant, neighbour: Tenant) -> None:
    ours = show(Kind.PROJECT, tenant.project_id)
    assert [project.id for project in client.projects.list()] == [ours]
    assert [project.id for project in client.v2_projects.list()] == [ours]
    assert client.projects.get(ours).name == "ours"
    assert client.v2_projects.get(str(tenant.project_id)).id == ours
    assert client.projects.list(project_name="other") == []
    with pytest.raises(llama_cloud.NotFoundError):
        client.projects.get(show(Kind.PROJECT, neighbour.project_id))


def test_a_wrong_key_is_an_authentication_error(api_url: str) -> None:
    with LlamaCloud(api_key="bmk_wrong", base_url=api_url, max_retries=0) as wrong:
        with pytest.raises(llama_cloud.AuthenticationError):
            wrong.projects.list()
        with pytest.raises(llama_cloud.AuthenticationError):
            wrong.files.create(file=("a", b"x" * 5_000_000), purpose="parse")
