import assert from "node:assert/strict";
import { test } from "node:test";
import { all, client, refused, watched } from "./client.js";

const v1 = watched(client.projects);
const v2 = watched(client.v2Projects);

test("a key shows its one project, in both versions", async () => {
  const [project, ...more] = await v1.resource.list();
  assert.ok(project);
  assert.deepEqual(more, []);
  assert.ok(project.organization_id);
  assert.deepEqual(await v1.resource.list({ project_name: `not ${project.name}` }), []);
  assert.equal((await v1.resource.get(project.id)).name, project.name);
  const listed = await all(v2.resource.list({ name: project.name, organization_id: project.organization_id }));
  assert.deepEqual(listed.map((one) => one.id), [project.id]);
  assert.equal((await v2.resource.get(project.id)).name, project.name);
});

test("another project is not found", async () => {
  const unknown = "01900000-0000-7000-8000-000000000000";
  await refused(404, () => v1.resource.get(unknown));
  await refused(404, () => v2.resource.get(unknown));
});

test("every method was driven", () => {
  assert.deepEqual({ v1: v1.forgotten(), v2: v2.forgotten() }, { v1: [], v2: [] });
});
