import assert from "node:assert/strict";
import { test } from "node:test";
import { all, client, ended, held, refused, textFile, watched, words } from "./client.js";

const { resource: parsing, forgotten } = watched(client.parsing);
const AS = { tier: "cost_effective", version: "latest" } as const;
const QUICK = { pollingInterval: 0.2, timeout: 60 };

async function stored(content: string) {
  return (await client.files.create({ file: await textFile("a.txt", content), purpose: "parse" })).id;
}

test("a stored file is parsed, and each expand is filled", async () => {
  const content = words();
  const job = await parsing.create({ ...AS, file_id: await stored(content), user_metadata: { k: "v" } });
  assert.ok(job.id.startsWith("pjb-"));
  const early = await parsing.get(job.id, { expand: ["text", "markdown_full"] });
  assert.ok(early.job.status === "COMPLETED" || early.markdown_full == null);
  const { job: done } = await parsing.waitForCompletion(job.id, {}, QUICK);
  assert.deepEqual([done.status, done.user_metadata], ["COMPLETED", { k: "v" }]);
  const expand = ["text", "text_full", "markdown", "markdown_full", "items", "metadata", "job_metadata"];
  const parsed = await parsing.get(job.id, { expand });
  const first = content.split("\n")[0] ?? "";
  assert.ok(parsed.text_full?.includes(first));
  assert.ok(parsed.markdown_full?.includes(first));
  assert.ok(parsed.text?.pages[0]?.text.includes(first));
  const page = parsed.markdown?.pages[0];
  assert.ok(page && "markdown" in page && page.markdown.includes(first));
  assert.ok(parsed.job_metadata);
});

test("an upload is parsed by the client's own helper, which expands while it polls", async () => {
  const content = words();
  const upload_file = await textFile("upload.txt", content);
  const parsed = await parsing.parse({ ...AS, upload_file, expand: ["markdown_full", "text"] }, QUICK);
  assert.equal(parsed.job.status, "COMPLETED");
  assert.ok(parsed.markdown_full?.includes(content.split("\n")[0] ?? ""));
});

test("a broken file ends the helper with the job's own words", async () => {
  const upload_file = await textFile("broken.pdf", "%PDF-1.7 " + words());
  await assert.rejects(parsing.parse({ ...AS, upload_file, expand: ["text"] }, QUICK), /PDF_IS_BROKEN/);
});

test("jobs are listed, cancelled and removed", async () => {
  await held("parse_v2", async () => {
    const made: string[] = [];
    for (const _ of [1, 2, 3]) made.push((await parsing.create({ ...AS, file_id: await stored(words()) })).id);
    const listed = await all(parsing.list({ job_ids: made, status: "PENDING", page_size: 2 }));
    assert.deepEqual(listed.map((one) => one.id), [...made].reverse());
    const id = made[0] ?? "";
    await refused(409, () => parsing.delete(id));
    await parsing.cancel(id);
    const job = await ended(async () => (await parsing.get(id)).job);
    assert.equal(job.status, "CANCELLED");
    const error = await refused(409, () => parsing.cancel(id));
    assert.equal(error.headers?.get("x-should-retry"), "false");
    const gone = await parsing.delete(id);
    assert.deepEqual([gone.id, gone.project_id], [id, job.project_id]);
    await refused(404, () => parsing.get(id));
  });
});

test("versions are told by tier", async () => {
  const versions = await parsing.listVersions();
  for (const tier of ["fast", "cost_effective", "agentic", "agentic_plus"] as const) {
    assert.ok((versions[tier] as string[]).includes(versions.latest[tier]), tier);
  }
});

test("an option nobody knows is refused", async () => {
  const file_id = await stored(words());
  await refused(422, () => parsing.create({ ...AS, file_id, no_such_option: 1 } as never));
});

test("every method was driven", () => assert.deepEqual(forgotten(), []));
