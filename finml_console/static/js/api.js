// The REST API from a page: JSON in, JSON out, every refusal as a `Refused` that holds the problem document.

const TOKEN = "finml-token";

/** What the server refused, and why: `document` is its RFC 9457 problem. */
export class Refused extends Error {
  constructor(document) {
    super(document.detail ?? document.title ?? `status ${document.status}`);
    this.document = document;
  }
}

/** Send a request. `etag` is the revision that a change was decided on. Returns `{ body, etag, status }`; throws `Refused`. */
export async function call(method, path, body, { etag } = {}) {
  const key = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(36).slice(2)}`;
  let response = await send(method, path, body, { etag, key });
  while (response.status === 401) {
    if (!(await askForToken(sessionStorage.getItem(TOKEN) !== null))) break;
    response = await send(method, path, body, { etag, key });
  }
  const answer = await read(response);
  if (!response.ok) throw new Refused({ status: response.status, ...answer });
  return { body: answer, etag: response.headers.get("ETag"), status: response.status };
}

async function send(method, path, body, { etag, key }) {
  const headers = { Accept: "application/json", "X-Finml-Actor": "console" };
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET") headers["Idempotency-Key"] = key;
  if (etag) headers["If-Match"] = etag;
  try {
    return await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Refused({ status: 0, detail: "The server does not answer. Is finml up still running?" });
  }
}

async function read(response) {
  const text = await response.text();
  try {
    return text ? JSON.parse(text) : {};
  } catch {
    return { detail: `the answer was not JSON (status ${response.status})` };
  }
}

/** Ask for the server's token; resolves to whether one was given. It is kept until the browser's tab is closed. */
export function askForToken(refused = false) {
  const dialog = document.getElementById("token-dialog");
  const form = dialog.querySelector("form");
  const field = form.elements.token;
  dialog.querySelector("[data-refused]").hidden = !refused;
  field.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener(
      "close",
      () => {
        const given = dialog.returnValue === "use" && field.value.trim() !== "";
        if (given) sessionStorage.setItem(TOKEN, field.value.trim());
        field.value = "";
        resolve(given);
      },
      { once: true },
    );
  });
}
