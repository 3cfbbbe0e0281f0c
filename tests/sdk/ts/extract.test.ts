import assert from "node:assert/strict";
import { test } from "node:test";
import { SCHEMA, all, client, ended, held, refused, textFile, watched, words } from "./client.js";

const { resource: extract, forgotten } = watched(client.extract);
const configuration = { data_schema: SCHEMA };
const QUICK = { pollingInterval: 0.2, timeout: 60 };

async function stored() {
  return (await client.files.create({ file: await textFile("invoice.txt", words()), purpose: "extract" })).id;
}

test("values are taken out of a file", async () => {
  const file_input = await stored();
  const job = await extract.create({ file_input, configuration });
  assert.ok(job.id.startsWith("ext-"));
  assert.deepEqual([job.file_input, job.configuration_id], [file_input, null]);
  const done = await extract.waitForCompletion(job.id, {}, QUICK);
  assert.deepEqual([done.status, done.extract_result], ["COMPLETED", { total: 12.5 }]);
  const full = await extract.get(job.id, { expand: ["configuration", "extract_metadata"] });
  assert.deepEqual(full.configuration?.data_schema, SCHEMA);
  assert.ok(full.extract_metadata);
});

test("the client's own helper waits for the values", async () => {
  const done = await extract.run({ file_input: await stored(), configuration }, QUICK);
  assert.deepEqual(done.extract_result, { total: 12.5 });
});

test("a saved configuration and a parse job are inputs too", async () => {
  const parameters = { product_type: "extract_v2", data_schema: SCHEMA } as const;
  const saved = await client.configurations.create({ name: "typescript extract", parameters });
  const parsed = await client.parsing.parse(
    { tier: "fast", version: "latest", file_id: await stored(), expand: ["text"] },
    QUICK,
  );
  const done = await extract.run({ file_input: parsed.job.id, configuration_id: saved.id }, QUICK);
  assert.deepEqual(done.extract_result, { total: 12.5 });
  const listed = await all(extract.list({ configuration_id: saved.id, document_input_type: "parse_job_id" }));
  assert.ok(listed.some((one) => one.id === done.id));
});

test("jobs are listed, cancelled and removed", async () => {
  await held("extract_v2", async () => {
    const made: string[] = [];
    for (const _ of [1, 2, 3]) made.push((await extract.create({ file_input: await stored(), configuration })).id);
    const listed = await all(extract.list({ job_ids: made, page_size: 2, expand: ["configuration"] }));
    assert.deepEqual(listed.map((one) => one.id), [...made].reverse());
    assert.deepEqual(listed[0]?.configuration?.data_schema, SCHEMA);
    const [id = "", other = ""] = made;
    await refused(409, () => extract.delete(id));
    await extract.cancel(id);
    assert.equal((await ended(() => extract.get(id))).status, "CANCELLED");
    const error = await refused(409, () => extract.cancel(id));
    assert.equal(error.headers?.get("x-should-retry"), "false");
    await extract.delete(id);
    await refused(404, () => extract.get(id));
    await extract.delete(other, {}, { query: { force: true } });
    await refused(404, () => extract.get(other));
  });
});

test("a schema is validated, and none is made up without a model", async () => {
  assert.deepEqual((await extract.validateSchema({ data_schema: SCHEMA })).data_schema, SCHEMA);
  await refused(400, () => extract.validateSchema({ data_schema: { type: "string" } }));
  const generated = await extract.generateSchema({ data_schema: SCHEMA, name: "from a schema" });
  assert.deepEqual([generated.name, generated.parameters.product_type], ["from a schema", "extract_v2"]);
  await refused(400, () => extract.generateSchema({ prompt: "the total of an invoice" }));
});

test("every method was driven", () => assert.deepEqual(forgotten(), []));
