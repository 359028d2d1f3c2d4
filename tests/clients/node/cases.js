// What every Node client is driven with; the same as python/cases.py, which says what it is.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import * as zlib from "node:zlib";

export const CASES = [
  "text", "streaming", "tool loop", "parallel tools", "image", "structured output", "error",
  "cancelled stream",
];
// Time in which a cancelled stream must be over; the slow model would take minutes.
const CANCEL_MAX_MS = 20_000;
// Time for one call: a debug build on a busy machine is slow, a hung one must still end.
export const CALL_MAX_MS = 60_000;

const WEATHER = { Paris: "18 degrees", "Paris (Texas)": "31 degrees" };

/** Fails the case, with what was seen instead. */
export function check(passed, what, seen) {
  if (!passed) throw new Error(`${what}: ${JSON.stringify(seen) ?? "undefined"}`.slice(0, 2000));
}

/** Whether two plain values are equal; the order of members counts, as it is in the tests. */
export function same(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Runs a tool as an application would; arguments as JSON text or parsed. */
export function callTool(name, given) {
  const input = typeof given === "string" ? JSON.parse(given) : given;
  if (name === "find_city") return `${input.name} (Texas)`;
  if (name === "get_weather") return WEATHER[input.city] ?? `no weather in ${input.city}`;
  throw new Error(`there is no tool ${name}`);
}

function schemaOf(parameter) {
  return {
    type: "object",
    properties: { [parameter]: { type: "string" } },
    required: [parameter],
    additionalProperties: false,
  };
}

export const TOOLS = [
  { name: "find_city", description: "Finds the city that is meant", schema: schemaOf("name") },
  { name: "get_weather", description: "Weather of a city", schema: schemaOf("city") },
];

const LOOP_CALLS = [["find_city", { name: "Paris" }], ["get_weather", { city: "Paris (Texas)" }]];
const PAIR_CALLS = [["find_city", { name: "Paris" }], ["get_weather", { city: "Paris" }]];

/**
 * Calls tools until the model is done. `turn(history)` gives `{ calls: [{ id, name, input }],
 * text, next(results) }`, where `next` is the history after the results.
 */
async function loop(history, turn) {
  const calls = [];
  const turns = [];
  for (let step = 0; step < 5; step += 1) {
    const answer = await turn(history);
    if (answer.calls.length === 0) return { calls, turns, text: answer.text };
    turns.push(answer.calls.map((call) => call.id));
    const results = answer.calls.map((call) => {
      const input = typeof call.input === "string" ? JSON.parse(call.input) : call.input;
      calls.push([call.name, input]);
      return { id: call.id, name: call.name, text: callTool(call.name, input) };
    });
    history = answer.next(results);
  }
  throw new Error(`it never ends: ${JSON.stringify(calls)}`);
}

/** Two steps, one after the other. */
export async function runLoop(history, turn) {
  checkLoop(await loop(history, turn));
}

/** Two calls in one turn. */
export async function runPair(history, turn) {
  checkPair(await loop(history, turn));
}

export function checkLoop({ calls, turns, text }) {
  check(same(turns.map((ids) => ids.length), [1, 1]), "one call a turn", turns);
  check(same(calls, LOOP_CALLS), "two steps, one after the other", calls);
  check(text === "done: 31 degrees", "the last result is in the answer", text);
}

export function checkPair({ calls, turns, text }) {
  check(turns.length === 1, "one turn", turns);
  check(same(calls, PAIR_CALLS), "both calls in one turn", calls);
  const ids = turns[0];
  check(ids.every(Boolean) && new Set(ids).size === 2, "each has an id of its own", ids);
  check(text === "both: 18 degrees", "the results are used", text);
}

/** A picture of noise made from the client's name, so that no two clients send the same. */
export function png(size = 24) {
  let seed = crc(Buffer.from(process.env.TURNPIKE_CLIENT));
  const rows = [];
  for (let y = 0; y < size; y += 1) {
    rows.push(0);
    for (let x = 0; x < size * 3; x += 1) {
      seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
      rows.push((seed >>> 16) & 0xff);
    }
  }
  const chunk = (kind, data) => {
    const body = Buffer.concat([Buffer.from(kind), data]);
    return Buffer.concat([u32(data.length), body, u32(crc(body))]);
  };
  const head = Buffer.concat([u32(size), u32(size), Buffer.from([8, 2, 0, 0, 0])]);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const pixels = zlib.deflateSync(Buffer.from(rows));
  const parts = [chunk("IHDR", head), chunk("IDAT", pixels), chunk("IEND", Buffer.alloc(0))];
  return Buffer.concat([signature, ...parts]);
}

function u32(value) {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value >>> 0);
  return out;
}

// Not every Node that the clients run on has one of its own.
function crc(bytes) {
  if (zlib.crc32) return zlib.crc32(bytes);
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return (sum ^ 0xffffffff) >>> 0;
}

/** Reads a little of a stream of texts, stops it, and checks that it is over at once. */
export async function cancelled(texts, stop) {
  const began = Date.now();
  let text = "";
  try {
    for await (const piece of texts) {
      text += piece ?? "";
      if (text.length > 20) stop();
    }
  } catch (error) {
    check(/abort/i.test(`${error.name} ${error.message}`), "the client's own abort", `${error}`);
  }
  const took = Date.now() - began;
  check(text.length > 20, "something was said", text);
  check(took < CANCEL_MAX_MS, "it is over at once", took);
}

/** Runs `call`, which must fail; its error. */
export async function failure(call) {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error("no exception");
}

function report(fields) {
  process.stdout.write(`${JSON.stringify(fields)}\n`);
}

/** The version in a package's own package.json, which most don't export. */
function version(name) {
  let folder = dirname(createRequire(import.meta.url).resolve(name));
  for (;;) {
    try {
      const found = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
      if (found.name === name && found.version) return found.version;
    } catch (error) {
      if (error.code !== "ENOENT") throw error;
    }
    if (folder === dirname(folder)) throw new Error(`${name} has no package.json`);
    folder = dirname(folder);
  }
}

async function runCase(base, body, target) {
  if (typeof body === "string") {
    report({ ...base, result: "n/a", detail: body });
    return;
  }
  const began = Date.now();
  let [result, detail] = ["ok", ""];
  try {
    detail = (await body(target)) ?? "";
  } catch (error) {
    result = "FAIL";
    detail = `${error.name}: ${error.message}`.slice(0, 2000);
    process.stderr.write(`${error.stack}\n`);
  }
  report({ ...base, result, detail, took_ms: Date.now() - began });
}

/**
 * Runs the cases of `script` against all providers: functions of a target, or texts that say why
 * a case is not applicable. Arguments pick providers and cases, for a person who looks into one.
 */
export async function main(packages, script) {
  const only = new Set(process.argv.slice(2));
  report({ versions: Object.fromEntries(packages.map((name) => [name, version(name)])) });
  const missing = CASES.filter((name) => script[name] === undefined);
  check(missing.length === 0, "every case is there, or says why not", missing);
  const root = process.env.TURNPIKE_BASE_URL;
  for (const [provider, models] of Object.entries(JSON.parse(process.env.TURNPIKE_MODELS))) {
    const target = { provider, models, root, v1: `${root}/v1`, key: process.env.TURNPIKE_KEY };
    for (const name of CASES) {
      if (only.size > 0 && !only.has(provider) && !only.has(name)) continue;
      await runCase({ provider, case: name }, script[name], target);
    }
  }
  // Kept-alive connections and cancelled streams would hold the process.
  process.exit(0);
}
