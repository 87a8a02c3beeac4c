// The service by HTTP: JSON and binary answers, errors as they are told, and what happens where the session ended.

export class ApiError extends Error {
  constructor(status, body) {
    super(body.message || "the service didn't answer");
    this.status = status;
    this.reason = body.reason || "UNREACHABLE";
    this.advice = body.advice || "";
  }
}

let csrf = "";
let whenSignedOut = () => {};

export function onSignedOut(act) {
  whenSignedOut = act;
}

async function call(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { message: "the service can't be reached: see to the network, then try again" });
  }
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({}));
  const error = new ApiError(answer.status, said);
  if (answer.status === 401) whenSignedOut(error);
  throw error;
}

export async function get(path, options) {
  return (await call(path, options)).json();
}

export async function bytes(path, options) {
  return (await call(path, options)).arrayBuffer();
}

const sent = (body) => ({
  method: "POST",
  headers: { "content-type": "application/json", "x-csrf": csrf },
  body: JSON.stringify(body ?? {}),
});

export async function post(path, body, options = {}) {
  return (await call(path, { ...sent(body), ...options })).json();
}

export async function postBytes(path, body, options = {}) {
  return (await call(path, { ...sent(body), ...options })).arrayBuffer();
}

// A picture as it is.
export async function postPicture(path, blob) {
  const headers = { "content-type": blob.type, "x-csrf": csrf };
  return (await call(path, { method: "POST", headers, body: blob })).json();
}

export async function session() {
  const found = await get("/data/session");
  csrf = found.csrf;
  return found;
}

export const ways = () => get("/sign-in/ways");

// Histograms: a line of JSON, then the tables one after the other as uint32.
export function readTables(buffer) {
  const all = new Uint8Array(buffer);
  const end = all.indexOf(10);
  const said = JSON.parse(new TextDecoder().decode(all.subarray(0, end)));
  const tables = {};
  let at = end + 1;
  for (const { name, shape } of said) {
    const n = shape.reduce((a, b) => a * b, 1);
    tables[name] = new Uint32Array(buffer.slice(at, at + 4 * n));
    at += 4 * n;
  }
  return tables;
}

// By NumPy's names of types; a truth is a byte.
const ARRAYS = {
  "<f8": Float64Array, "<f4": Float32Array, "<u4": Uint32Array, "<i4": Int32Array, "<u2": Uint16Array, "<i2": Int16Array,
  "|u1": Uint8Array, "|i1": Int8Array, "|b1": Uint8Array,
};

// Cells: column after column, as `columns` names them: name, type, how many of it a cell has.
export function readCells(buffer, columns) {
  const unknown = columns.find(([, kind]) => !ARRAYS[kind]);
  if (unknown) throw new Error(`column ${unknown[0]} is of the unknown type ${unknown[1]}`);
  const each = columns.reduce((sum, [, kind, width]) => sum + width * ARRAYS[kind].BYTES_PER_ELEMENT, 0);
  const n = buffer.byteLength / each;
  const cells = { n };
  let at = 0;
  for (const [name, kind, width] of columns) {
    cells[name] = new ARRAYS[kind](buffer, at, n * width);
    at += n * width * ARRAYS[kind].BYTES_PER_ELEMENT;
  }
  return cells;
}
