import assert from "node:assert/strict";
import { test } from "node:test";
import { all, client, refused, textFile, watched, words } from "./client.js";

const directories = watched(client.beta.directories);
const files = watched(client.beta.directories.files);
const dirs = directories.resource;
const entries = files.resource;

test("a directory is kept, changed, listed and removed", async () => {
  const made = await dirs.create({ name: "typescript", description: "what", system_metadata: { a: [1] } });
  assert.deepEqual([made.type, made.description, made.system_metadata], ["user", "what", { a: [1] }]);
  assert.ok(made.id.startsWith("dir-"));
  assert.equal((await dirs.update(made.id, { name: "renamed" })).name, "renamed");
  assert.equal((await dirs.get(made.id)).description, "what");
  const seen = await all(dirs.list({ name: "renamed", types: ["user", "ephemeral"], page_size: 1 }));
  assert.ok(seen.some((one) => one.id === made.id));
  await dirs.delete(made.id);
  await refused(404, () => dirs.get(made.id));
  const gone = await all(dirs.list({ name: "renamed", include_deleted: true }));
  assert.ok(gone.find((one) => one.id === made.id)?.deleted_at);
});

test("a filter that is null is one that was not given", async () => {
  const made = await dirs.create({ name: "null", type: "ephemeral" });
  assert.ok(made.expires_at);
  const seen = await all(dirs.list({ name: null, type: null, types: null, page_token: null } as object));
  assert.ok(seen.some((one) => one.id === made.id));
});

test("an uploaded file is kept, changed, moved, read and removed", async () => {
  const [from, to] = await Promise.all(["from", "to"].map((name) => dirs.create({ name })));
  assert.ok(from && to);
  const content = words();
  const made = await entries.upload(from.id, {
    upload_file: await textFile("a.txt", content),
    metadata: JSON.stringify({ source: "web", priority: 1 }),
    unique_id: "unique",
    display_name: "shown.txt",
  });
  assert.deepEqual([made.unique_id, made.display_name], ["unique", "shown.txt"]);
  assert.deepEqual(made.metadata, { source: "web", priority: 1 });
  const found = await entries.get(made.id, { directory_id: from.id, expand: ["download_url"] });
  assert.ok(found.download_url);
  assert.equal(await (await fetch(found.download_url.url)).text(), content);
  const moved = await entries.update(made.id, {
    directory_id: from.id,
    target_directory_id: to.id,
    display_name: "moved.txt",
    metadata: { tags: ["a", "b"], kept: true },
  });
  assert.deepEqual([moved.directory_id, moved.display_name, moved.id], [to.id, "moved.txt", made.id]);
  assert.deepEqual(moved.metadata, { tags: ["a", "b"], kept: true });
  assert.deepEqual(await all(entries.list(from.id)), []);
  const listed = await all(entries.list(to.id, { display_name_contains: "moved", unique_id: "unique" }));
  assert.deepEqual(listed.map((one) => one.id), [made.id]);
  await entries.delete(made.id, { directory_id: to.id });
  await refused(404, () => entries.get(made.id, { directory_id: to.id }));
  assert.equal((await all(entries.list(to.id, { include_deleted: true }))).length, 1);
});

test("a stored file is added, and pages are read to their end", async () => {
  const directory = await dirs.create({ name: "added" });
  for (const name of ["a.txt", "b.txt", "c.txt"]) {
    const stored = await client.files.create({ file: await textFile(name), purpose: "parse" });
    const entry = await entries.add(directory.id, { file_id: stored.id, metadata: { name } });
    assert.deepEqual([entry.file_id, entry.display_name], [stored.id, name]);
  }
  const names = (await all(entries.list(directory.id, { page_size: 2 }))).map((one) => one.display_name);
  assert.deepEqual(names.sort(), ["a.txt", "b.txt", "c.txt"]);
});

test("other bytes under one unique id are a conflict", async () => {
  const directory = await dirs.create({ name: "conflict" });
  await entries.upload(directory.id, { upload_file: await textFile("a.txt") });
  const error = await refused(409, async () =>
    entries.upload(directory.id, { upload_file: await textFile("a.txt") }),
  );
  assert.equal(error.headers?.get("x-should-retry"), "false");
});

test("every method was driven", () => {
  assert.deepEqual({ directories: directories.forgotten(), files: files.forgotten() }, { directories: [], files: [] });
});
