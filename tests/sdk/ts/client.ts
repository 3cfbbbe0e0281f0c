/** The client under test, and a witness that no method of it was forgotten. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import LlamaCloud, { toFile, type APIError } from "@llamaindex/llama-cloud";

/** Address and key come from the environment; it gives up at once, as a retry would hide a fault. */
export const client = new LlamaCloud({ maxRetries: 0 });

export const FAST = { type: "parse_v2", configuration_id: "cfg-PARSE_FAST" } as const;
export const SCHEMA = { type: "object", properties: { total: { type: "number" } } };

/** Words that no other test has: what was parsed before with the same options would be reused. */
export const words = (): string => `Invoice ${randomUUID()}\n\nTotal: 12.50\n`;

/** A text file to upload. */
export const textFile = (name: string, content: string = words()) => toFile(Buffer.from(content), name);

/** Keeps which methods of a resource a test file has called, and tells which it has not. */
export function watched<R extends object>(resource: R): { resource: R; forgotten: () => string[] } {
  const called = new Set<string>();
  const prototype = Object.getPrototypeOf(resource) as Record<string, unknown>;
  const methods = Object.getOwnPropertyNames(prototype).filter(
    (name) => name !== "constructor" && !name.startsWith("_") && typeof prototype[name] === "function",
  );
  assert.ok(methods.length > 0, "a resource without methods: has the client changed its form?");
  const proxy = new Proxy(resource, {
    get(target, name) {
      const found: unknown = Reflect.get(target, name, target);
      if (typeof found !== "function") return found;
      return (...given: unknown[]): unknown => {
        called.add(String(name));
        return Reflect.apply(found, target, given);
      };
    },
  });
  return { resource: proxy, forgotten: () => methods.filter((name) => !called.has(name)) };
}

/** All there is, page by page. */
export async function all<T>(pages: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const one of pages) found.push(one);
  return found;
}

/** The call is refused with this status, and the body says why. */
export async function refused(status: number, call: () => PromiseLike<unknown>): Promise<APIError> {
  let caught: unknown;
  try {
    await call();
  } catch (error) {
    caught = error;
  }
  assert.ok(caught instanceof LlamaCloud.APIError, `${status} was due, and this came: ${String(caught)}`);
  assert.equal(caught.status, status, String(caught));
  assert.ok((caught.error as { detail?: unknown }).detail, "a refusal without a reason");
  return caught;
}

/** While `story` runs, no job of this type starts in the key's project: what it makes stays cancellable. */
export async function held(type: "parse_v2" | "extract_v2", story: () => Promise<void>): Promise<void> {
  const [project] = await client.projects.list();
  const lane = `/api/v1/admin/projects/${project?.id}/lanes/${type}`;
  const operator = new LlamaCloud({ apiKey: process.env["BATCHMILL_OPERATOR_KEY"] ?? "", maxRetries: 0 });
  await operator.put(lane, { body: { hold: { reason: "a story of tests" } } });
  try {
    await story();
  } finally {
    await operator.put(lane, { body: { hold: null } });
  }
}

const FINAL = ["COMPLETED", "FAILED", "CANCELLED"];

/** What `look` sees once it is final. */
export async function ended<J extends { status: string }>(look: () => PromiseLike<J>): Promise<J> {
  for (const deadline = Date.now() + 60_000; Date.now() < deadline; await pause(100)) {
    const seen = await look();
    if (FINAL.includes(seen.status)) return seen;
  }
  return assert.fail("no end within 60 s");
}
