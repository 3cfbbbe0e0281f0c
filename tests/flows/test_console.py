"""The console in a real browser, over a whole stack: what a person does with it."""

import json
import re
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser import Visitor, open_browser, visit
from tests.live_stack import LiveStack

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
DROP = """
([files]) => {
  const transfer = new DataTransfer();
  for (const [name, text] of files) transfer.items.add(new File([text], name));
  const box = document.getElementById("drop");
  for (const kind of ["dragenter", "dragover", "drop"]) {
    box.dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }
}
"""

Visit = Callable[..., AbstractAsyncContextManager[Visitor]]


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with open_browser() as opened:
        yield opened


@pytest.fixture
def come(browser: Browser, stack: LiveStack) -> Visit:
    """Somebody comes to the console of the stack."""

    def run(**options: Any) -> AbstractAsyncContextManager[Visitor]:
        return visit(browser, stack.base_url, **options)

    return run


async def sign_in(page: Page, stack: LiveStack) -> None:
    await page.goto("/console")
    await page.get_by_label("Key of a project").fill(stack.key("project"))
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Batches")).to_be_visible()


async def open_batch(page: Page, name: str, files: list[tuple[str, str]]) -> None:
    """A batch over files that are dropped on the page of a new one."""
    await page.get_by_role("link", name="New batch").first.click()
    await page.get_by_label("Configuration").select_option("cfg-PARSE_FAST")
    await page.get_by_label("Name").fill(name)
    await page.evaluate(DROP, [files])
    await expect(page.locator("#sum")).to_contain_text(f"{len(files)} file")
    await page.get_by_role("button", name="Upload and start").click()
    await page.wait_for_url(re.compile(r"/console/batches/bat-"))
    await expect(page.get_by_role("heading", level=1)).to_have_text(name)


def state(page: Page) -> Any:
    return page.locator("#live .state")


async def narrow_and_read(page: Page) -> None:
    """The files by filters, and what is in one of them."""
    await page.get_by_label("Name contains").fill("NOTE-1")
    rows = page.locator("#files tbody tr")
    await expect(rows).to_have_count(3)
    await expect(page).to_have_url(re.compile("name=NOTE-1"))
    await page.reload()
    await expect(rows).to_have_count(3)
    await page.get_by_label("Status").select_option("FAILED")
    await expect(page.locator("#files")).to_contain_text("No such file")
    await page.get_by_label("Name contains").fill("")
    await expect(rows).to_have_count(1)

    await page.get_by_label("Status").select_option("COMPLETED")
    await expect(rows).to_have_count(13)
    await page.locator("#files").get_by_role("link", name="note-7.txt").click()
    await expect(page.locator("pre")).to_contain_text("a note of the whole story, 7")
    async with page.expect_download() as waiting:
        await page.get_by_role("link", name="Download").click()
    saved = await waiting.value
    assert saved.suggested_filename == "note-7.txt.txt"
    assert "a note of the whole story, 7" in (await saved.path()).read_text()


async def take_all(page: Page) -> None:
    """All results of the batch, in either form."""
    async with page.expect_download() as waiting:
        await page.get_by_role("link", name="Results as zip").click()
    with zipfile.ZipFile(await (await waiting.value).path()) as archive:
        names = archive.namelist()
        assert "results.jsonl" in names
        assert sum(name.startswith("note-") for name in names) == 12
    async with page.expect_download() as waiting:
        await page.get_by_role("link", name="as JSON lines").click()
    lines = (await (await waiting.value).path()).read_text().splitlines()
    assert len(lines) == 14
    assert {json.loads(line)["status"] for line in lines} == {"COMPLETED", "FAILED"}


async def test_from_the_key_to_the_results(come: Visit, stack: LiveStack) -> None:
    async with come() as visitor:
        page = visitor.page
        visitor.expected = ("status of 401",)  # a wrong key is refused, which a browser calls an error
        await page.goto("/console/new")
        await page.get_by_label("Key of a project").fill("bmk_wrong")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("alert").first).to_contain_text("unknown, revoked or expired")
        visitor.expected = ()
        await page.get_by_label("Key of a project").fill(stack.key("project"))
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="New batch")).to_be_visible()  # where they wanted to go

        files = [(f"note-{n}.txt", f"a note of the whole story, {n}") for n in range(12)]
        files += [("broken.pdf", "no PDF at all"), ("<script>alert(1)</script>.txt", "hostile by its name")]
        await open_batch(page, "The whole story", files)
        # Nobody reloads the page: it follows the batch to its end.
        await expect(state(page)).to_have_text("Completed", timeout=40_000)
        await expect(page.locator("#live .percent")).to_have_text("100 %")
        await expect(page.locator("#live")).not_to_have_attribute("hx-get", re.compile("."))
        await expect(page.get_by_role("button", name="Pause")).to_have_count(0)
        await expect(page.locator("#said")).to_contain_text("completed")
        failures = page.get_by_role("region", name="Failures")
        await expect(failures.get_by_role("row")).to_have_count(2)
        await expect(failures).to_contain_text("broken.pdf")
        await expect(page.locator("#files")).to_contain_text("<script>alert(1)</script>.txt")

        await narrow_and_read(page)

        await page.get_by_role("link", name="Batch", exact=True).click()
        await take_all(page)
        await page.get_by_role("button", name="Run failed files again").click()
        await expect(page.locator("h1 + .under")).to_contain_text("again over files of another batch")
        await expect(state(page)).to_have_text("Completed", timeout=40_000)
        await expect(page.locator("#files tbody tr")).to_have_count(1)

        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await page.go_back()
        await page.reload()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_pause_resume_and_cancel(come: Visit, stack: LiveStack) -> None:
    async with come() as visitor:
        page = visitor.page
        await sign_in(page, stack)
        with stack.suspended("worker"):  # so that the batch is there for as long as the story needs it
            await open_batch(page, "To be steered", [(f"s-{n}.txt", f"steered {n}") for n in range(5)])
            await page.get_by_role("button", name="Pause").click()
            await expect(state(page)).to_have_text("Paused")
            await expect(page.locator("#live .note")).to_contain_text("PAUSED")
            await expect(page.locator("#live .note")).to_contain_text("was paused at")
            await page.get_by_text("What it waits for").click()
            await expect(page.locator("#why")).to_contain_text("living slots on the queue parse")
            async with page.expect_response(re.compile("/live")):
                pass
            await expect(page.locator("#why")).to_have_attribute(
                "open", ""
            )  # it is drawn anew, and stays open

            await page.goto("/console")
            row = page.get_by_role("row").filter(has_text="To be steered")
            await expect(row).to_contain_text("Paused")
            await row.get_by_role("link").click()
            await page.get_by_role("button", name="Resume").click()
            await expect(page.get_by_role("button", name="Pause")).to_be_visible()

            page.once("dialog", lambda dialog: dialog.dismiss())
            await page.get_by_role("button", name="Cancel").click()
            await expect(page.get_by_role("button", name="Cancel")).to_be_visible()  # asked, and not done
            page.once("dialog", lambda dialog: dialog.accept())
            await page.get_by_role("button", name="Cancel").click()
            await expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
        await expect(state(page)).to_have_text("Cancelled", timeout=40_000)
        await expect(page.get_by_role("button", name="Run failed files again")).to_be_visible()


async def test_a_session_that_ends_while_a_page_is_open(come: Visit, stack: LiveStack) -> None:
    async with come() as visitor:
        page = visitor.page
        await sign_in(page, stack)
        with stack.suspended("worker"):
            await open_batch(page, "Seen to the end of the session", [("e.txt", "the end of a session")])
            address = page.url
            visitor.expected = ("status of 401",)
            await visitor.context.clear_cookies()
            await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
            await page.get_by_label("Key of a project").fill(stack.key("project"))
            await page.get_by_role("button", name="Sign in").click()
            await page.wait_for_url(address)
        await expect(state(page)).to_have_text("Completed", timeout=40_000)


async def test_without_scripts_the_forms_do(come: Visit, stack: LiveStack) -> None:
    async with come(java_script_enabled=False) as visitor:
        page = visitor.page
        await sign_in(page, stack)
        await page.get_by_role("link", name="New batch").first.click()
        files: Any = [
            {"name": f"plain-{n}.txt", "mimeType": "text/plain", "buffer": f"plain {n}".encode()}
            for n in range(3)
        ]
        await page.get_by_label("Files").set_input_files(files)
        await page.get_by_role("button", name="Upload and start").click()
        await page.wait_for_url(re.compile(r"/console/batches/bat-"))

        async def reload_until(text: str) -> None:
            for _ in range(60):
                if text in (await state(page).inner_text()):
                    return
                await page.wait_for_timeout(500)
                await page.reload()
            raise AssertionError(f"not {text} in time")

        await reload_until("Completed")
        await page.get_by_label("Name contains").fill("plain-2")
        await page.get_by_role("button", name="Filter").click()
        await expect(page.locator("#files tbody tr")).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_phone_shows_each_page_whole(come: Visit, stack: LiveStack, scheme: str) -> None:
    async with come(color_scheme=scheme, **PHONE) as visitor:
        page = visitor.page
        visitor.expected = ("status of 404",)
        await page.goto("/console/login")
        assert await visitor.width() <= 390
        await sign_in(page, stack)
        name = f"A phone in the {scheme}"
        files = [
            (f"{'a-very-long-name-without-a-break' * 4}.pdf", "no PDF"),
            ("ok.txt", f"{scheme} on a phone"),
        ]
        await open_batch(page, name, files)
        await expect(state(page)).to_have_text("Completed", timeout=40_000)
        batch = page.url
        for path in (
            "/console",
            "/console/new",
            batch,
            f"{batch}/files/1",
            f"{batch}/files/2",
            "/console/no",
        ):
            await page.goto(path)
            assert await visitor.width() <= 390, path
        await page.goto(batch)
        background = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", background))) < 200) == (scheme == "dark")


async def test_the_keyboard_reaches_all_of_it(come: Visit, stack: LiveStack) -> None:
    async with come() as visitor:
        page = visitor.page
        await sign_in(page, stack)
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="To the content")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("#main")).to_be_focused()
        await page.goto("/console/new")
        unlabelled = await page.evaluate(
            """[...document.querySelectorAll("input:not([type=hidden]), select")]
            .filter((one) => !one.labels.length).map((one) => one.id)"""
        )
        assert unlabelled == []
