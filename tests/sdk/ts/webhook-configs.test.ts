import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { client, refused, watched } from "./client.js";

const { resource: webhooks, forgotten } = watched(client.webhookConfigs);
const address = () => `https://example.com/webhooks/${randomUUID()}`;

test("a webhook is saved, changed, listed and removed, and its secret is never shown", async () => {
  const webhook_url = address();
  const made = await webhooks.create({
    webhook_url,
    webhook_events: ["batch.success", "batch.error"],
    webhook_headers: { "X-Team": "papers" },
    webhook_output_format: "json",
    webhook_signing_secret: "a secret of tests",
  });
  assert.ok(made.id.startsWith("whc-"));
  assert.deepEqual([made.has_secret, made.tenant_type, made.webhook_url], [true, "project", webhook_url]);
  assert.ok(!JSON.stringify(made).includes("a secret of tests"));
  const changed = await webhooks.update(made.id, { webhook_output_format: "string" });
  assert.deepEqual([changed.webhook_output_format, changed.has_secret], ["string", true]);
  assert.deepEqual(changed.webhook_events, ["batch.success", "batch.error"]);
  assert.deepEqual((await webhooks.retrieve(made.id)).webhook_headers, { "X-Team": "papers" });
  const newest = await webhooks.create({ webhook_url: address() });
  assert.deepEqual([newest.has_secret, newest.webhook_events ?? null], [false, null]);
  const ids = (await webhooks.list()).map((one) => one.id);
  assert.deepEqual(ids.slice(0, 2), [newest.id, made.id]);
  for (const { id } of [made, newest]) {
    await webhooks.delete(id);
    await refused(404, () => webhooks.retrieve(id));
  }
});

test("every method was driven", () => assert.deepEqual(forgotten(), []));
