import assert from "node:assert/strict";
import { test } from "node:test";
import { FAST, all, client, ended, held, refused, textFile, watched, words } from "./client.js";

const { resource: batches, forgotten } = watched(client.batches);

async function filled(...contents: [string, string][]) {
  const directory = await client.beta.directories.create({ name: "batch-example", type: "ephemeral" });
  for (const [name, content] of contents) {
    const upload_file = await textFile(name, content);
    await client.beta.directories.files.upload(directory.id, { upload_file });
  }
  return directory.id;
}

test("the whole chain: a directory, its files, a batch, the results", async () => {
  const content = words();
  const source_directory_id = await filled(["good.txt", content], ["broken.pdf", "%PDF-1.7 broken " + words()]);
  const batch = await batches.create({ source_directory_id, config: { job: FAST } });
  assert.ok(batch.id.startsWith("bat-"));
  assert.deepEqual([batch.source_directory_id, batch.config.job.type], [source_directory_id, "parse_v2"]);
  assert.equal((await ended(() => batches.get(batch.id))).status, "COMPLETED");
  assert.equal((await batches.get(batch.id)).results, null);
  const { results } = await batches.get(batch.id, { expand: ["results"] });
  assert.equal(results?.length, 2);
  const texts: Record<string, string | null | undefined> = {};
  for (const result of results ?? []) {
    assert.ok(result.job_reference, result.error_message ?? "neither a job nor an error");
    const parsed = await client.parsing.get(result.job_reference.id, { expand: ["text_full"] });
    texts[parsed.job.name ?? ""] = parsed.job.error_message ?? parsed.text_full;
  }
  assert.ok(texts["good.txt"]?.includes(content.split("\n")[0] ?? ""));
  assert.match(texts["broken.pdf"] ?? "", /^PDF_IS_BROKEN/);
});

test("batches are listed newest first, and narrowed", async () => {
  const source_directory_id = await filled(["a.txt", words()]);
  const made: string[] = [];
  for (const _ of [1, 2, 3]) made.push((await batches.create({ source_directory_id, config: { job: FAST } })).id);
  const seen = await all(batches.list({ source_directory_id, page_size: 2 }));
  assert.deepEqual(seen.map((one) => one.id), made.reverse());
  for (const id of made) await ended(() => batches.get(id));
  const query = { source_directory_id, created_at_on_or_after: new Date(Date.now() - 600_000).toISOString() };
  assert.equal((await all(batches.list({ ...query, status: "COMPLETED" }))).length, 3);
  assert.equal((await all(batches.list({ ...query, status: "FAILED" }))).length, 0);
});

test("a batch that waits is cancelled, and a final one refuses it", async () => {
  const source_directory_id = await filled(["a.txt", words()]);
  await held("parse_v2", async () => {
    const batch = await batches.create({ source_directory_id, config: { job: FAST } });
    assert.equal((await batches.cancel(batch.id)).id, batch.id);
    assert.equal((await ended(() => batches.get(batch.id))).status, "CANCELLED");
    const error = await refused(409, () => batches.cancel(batch.id));
    assert.equal(error.headers?.get("x-should-retry"), "false");
  });
});

test("what is unknown is not found, and what cannot be meant is refused", async () => {
  await refused(404, () => batches.get("bat-unknown"));
  const source_directory_id = await filled();
  await refused(404, () =>
    batches.create({ source_directory_id, config: { job: { ...FAST, configuration_id: "cfg-unknown" } } }),
  );
  await refused(400, () =>
    batches.create({ source_directory_id, config: { job: { ...FAST, type: "extract_v2" } } }),
  );
});

test("every method was driven", () => assert.deepEqual(forgotten(), []));
