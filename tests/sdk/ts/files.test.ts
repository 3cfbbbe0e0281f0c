import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { all, client, refused, textFile, watched, words } from "./client.js";

const { resource: files, forgotten } = watched(client.files);

test("a file is kept, found, read and removed", async () => {
  const [content, mark] = [words(), randomUUID()];
  const made = await files.create({
    file: await textFile("report.TXT", content),
    purpose: "user_data",
    external_file_id: mark,
  });
  assert.deepEqual([made.name, made.file_type, made.purpose], ["report.TXT", "txt", "user_data"]);
  assert.equal((await files.retrieve(made.id, { expand: ["download_url"] })).external_file_id, mark);
  const link = await files.content(made.id, { expires_at_seconds: 60 });
  assert.ok(Date.parse(link.expires_at) > Date.now());
  assert.equal(await (await fetch(link.url)).text(), content);
  for (const filter of [{ external_file_id: mark }, { file_ids: [made.id, "fil-unknown"] }]) {
    assert.deepEqual((await all(files.list(filter))).map((one) => one.id), [made.id]);
  }
  await files.delete(made.id);
  await refused(404, () => files.retrieve(made.id));
});

test("lists have an order and pages", async () => {
  const mark = randomUUID();
  for (const name of ["b.txt", "c.txt", "a.txt"]) {
    await files.create({ file: await textFile(name), purpose: "parse", external_file_id: mark });
  }
  const names = async (order_by: string) =>
    (await all(files.list({ external_file_id: mark, order_by, page_size: 2 }))).map((one) => one.name);
  assert.deepEqual(await names("name"), ["a.txt", "b.txt", "c.txt"]);
  assert.deepEqual(await names("created_at"), ["a.txt", "c.txt", "b.txt"]);
  await refused(400, () => files.list({ order_by: "order_by" }));
});

test("a query is a list whose filters are in the body", async () => {
  const mark = randomUUID();
  const made = await files.create({ file: await textFile("q.txt"), purpose: "parse", external_file_id: mark });
  await files.create({ file: await textFile("other.txt"), purpose: "parse" });
  const found = await files.query({ filter: { external_file_id: mark }, page_size: 10 });
  assert.deepEqual(found.items.map((one) => one.id), [made.id]);
});

test("an empty file is refused", async () => {
  await refused(400, async () => files.create({ file: await textFile("a.txt", ""), purpose: "parse" }));
});

test("every method was driven", () => assert.deepEqual(forgotten(), []));
