import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { SCHEMA, all, client, refused, watched } from "./client.js";

const { resource: configurations, forgotten } = watched(client.configurations);
const PARSE = { product_type: "parse_v2", tier: "fast", version: "latest" } as const;

test("a configuration is saved, saved again under its name, changed and removed", async () => {
  const name = randomUUID();
  const first = await configurations.create({ name, parameters: PARSE });
  const second = await configurations.create({ name, parameters: { ...PARSE, tier: "agentic" } });
  assert.equal(second.id, first.id);
  assert.ok(second.version > first.version);
  const found = await configurations.retrieve(first.id);
  assert.equal((found.parameters as { tier?: string }).tier, "agentic");
  const renamed = await configurations.update(first.id, { name: `${name}-renamed` });
  assert.deepEqual([renamed.id, renamed.name], [first.id, `${name}-renamed`]);
  await configurations.delete(first.id);
  await refused(404, () => configurations.retrieve(first.id));
});

test("lists know products and names", async () => {
  const name = randomUUID();
  await configurations.create({ name, parameters: PARSE });
  await configurations.create({ name, parameters: { product_type: "extract_v2", data_schema: SCHEMA } });
  await configurations.create({ name, parameters: { product_type: "unknown", anything: { goes: null } } as never });
  const products = async (query: object) =>
    (await all(configurations.list({ name, ...query }))).map((one) => one.product_type).sort();
  assert.deepEqual(await products({ page_size: 2 }), ["extract_v2", "parse_v2", "unknown"]);
  assert.deepEqual(await products({ product_type: ["parse_v2", "unknown"], latest_only: true }), [
    "parse_v2",
    "unknown",
  ]);
});

test("presets are there by their ids", async () => {
  for (const tier of ["fast", "cost_effective", "agentic", "agentic_plus"]) {
    const found = await configurations.retrieve(`cfg-PARSE_${tier.toUpperCase()}`);
    assert.equal((found.parameters as { tier?: string }).tier, tier);
  }
});

test("every method was driven", () => assert.deepEqual(forgotten(), []));
