// Writes src/generated/api.ts from the OpenAPI document: an interface for each
// schema and, for each operation, its parameters and its result.
// usage: node gen-types.mjs ../../docs/openapi.json [--print]
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const source =
  process.argv.slice(2).find((arg) => !arg.startsWith("--")) ?? join(here, "../../../docs/openapi.json");
const doc = JSON.parse(readFileSync(source, "utf8"));

const refName = (ref) => ref.slice(ref.lastIndexOf("/") + 1);
const quoted = (value) => JSON.stringify(value);
const key = (name) => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : quoted(name));

/** The TypeScript type of a schema. */
function typeOf(schema) {
  if (!schema || Object.keys(schema).length === 0) return "unknown";
  if (schema.$ref) return refName(schema.$ref);
  if (schema.enum) return schema.enum.map(quoted).join(" | ");
  const types = [schema.type].flat().filter(Boolean);
  const nullable = types.includes("null");
  const base = plain(
    schema,
    types.find((type) => type !== "null"),
  );
  return nullable ? `${base} | null` : base;
}

function plain(schema, type) {
  switch (type) {
    case "string":
      return "string";
    case "integer":
    case "number":
      return "number";
    case "boolean":
      return "boolean";
    case "array": {
      const item = typeOf(schema.items);
      return /[ |]/.test(item) ? `(${item})[]` : `${item}[]`;
    }
    case "object":
      if (schema.properties) return `{ ${members(schema, []).join(" ")} }`;
      return `Record<string, ${schema.additionalProperties ? typeOf(schema.additionalProperties) : "unknown"}>`;
    default:
      return "unknown";
  }
}

/** The members of an object schema; $schema is not on our wire, and server lists are never null. */
function members(schema, indent = ["  "]) {
  const required = new Set(schema.required ?? []);
  return Object.entries(schema.properties ?? {})
    .filter(([name]) => name !== "$schema")
    .flatMap(([name, property]) => {
      const type = typeOf(property).replace(/\[\] \| null$/, "[]");
      const line = `${key(name)}${required.has(name) ? "" : "?"}: ${type};`;
      if (indent.length === 0) return [line];
      const doc = property.description ? [`  /** ${property.description.replaceAll("*/", "* /")} */`] : [];
      return [...doc, `  ${line}`];
    });
}

function interfaces() {
  return Object.entries(doc.components.schemas)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, schema]) => {
      if (schema.type !== "object" || !schema.properties) return `export type ${name} = ${typeOf(schema)};`;
      const body = members(schema);
      if (body.length === 0) return `export type ${name} = Record<string, never>;`;
      return [`export interface ${name} {`, ...body, "}"].join("\n");
    });
}

/** The flat parameters that an operation takes on the socket: path, query and body in one object. */
function paramsOf(operation) {
  const parts = (operation.parameters ?? []).filter((parameter) => parameter.in !== "header");
  const body = operation.requestBody?.content?.["application/json"]?.schema;
  const schema = {
    properties: {
      ...Object.fromEntries(parts.map((part) => [part.name, part.schema])),
      ...(body?.properties ?? {}),
    },
    required: [...parts.filter((part) => part.required).map((part) => part.name), ...(body?.required ?? [])],
  };
  const money = (operation.parameters ?? []).some((parameter) => parameter.name === "Idempotency-Key");
  const list = members(schema, []);
  if (money) list.push("idempotency_key: string;");
  return list.length > 0 ? `{ ${list.join(" ")} }` : "Record<string, never>";
}

function operations() {
  const rows = [];
  for (const path of Object.values(doc.paths)) {
    for (const operation of Object.values(path)) {
      if (!operation.operationId) continue;
      const ok = Object.entries(operation.responses).find(([status]) => status.startsWith("2"))?.[1];
      rows.push([
        operation.operationId,
        paramsOf(operation),
        typeOf(ok?.content?.["application/json"]?.schema),
      ]);
    }
  }
  for (const operation of doc["x-socket-operations"] ?? []) {
    rows.push([operation.method, typeOf(operation.params), typeOf(operation.result)]);
  }
  rows.sort(([a], [b]) => (a < b ? -1 : 1));
  return ["/** Every operation: what it takes and what it answers. */", "export interface Operations {"]
    .concat(
      rows.map(([name, params, result]) => `  ${quoted(name)}: { params: ${params}; result: ${result} };`),
    )
    .concat("}")
    .join("\n");
}

const text = [
  "// Made from docs/openapi.json by `make generate`; do not edit.",
  "/* biome-ignore-all format: generated */",
  "",
  interfaces().join("\n\n"),
  "",
  operations(),
].join("\n");

if (process.argv.includes("--print")) console.log(text);
else writeFileSync(join(here, "../src/generated/api.ts"), `${text}\n`);
