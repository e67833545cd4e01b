// Calls of the API: base address, CSRF header or token, problems (RFC 9457) as ApiError.
//
//   await api.get("/api/v1/devices", {limit: 10})          parsed JSON (null for 204)
//   await api.post("/api/v1/…", {name: "x"})               also patch, put, delete
//   await api.request("GET", path, {query, body, headers, signal, raw: true})   the Response itself
//   const socket = await api.socket("/api/v1/live", {device: ["car-1"]})        a WebSocket
//   api.url("/api/v1/…", query)                            for links and downloads
//
// Values of a query: undefined, null and "" are left out; an array is sent as several.

const MOST_ASKED = 50;

export class ApiError extends Error {
  constructor({ status = 0, title = "", detail = "", errors = [], where = "", expected = "", found = "", retryAfterS = null }) {
    super(detail || title || `status ${status}`);
    this.name = "ApiError";
    Object.assign(this, { status, title, detail: this.message, errors, where, expected, found, retryAfterS });
  }

  /** The API could not be reached at all. */
  get isAway() {
    return this.status === 0 || this.status === 502 || this.status === 504;
  }
}

export class Api {
  /**
   * @param {{apiBase: string, wsBase: string}} config
   * @param {{csrf: () => string, signedOut: (error: ApiError) => void, reached: (ok: boolean) => void}} hooks
   */
  constructor(config, hooks = {}) {
    this.base = config.apiBase.replace(/\/+$/, "");
    this.wsBase = (config.wsBase || wsOf(this.base || origin())).replace(/\/+$/, "");
    this.hooks = hooks;
    this.asked = new Set(); // paths of what was read, without their queries; at most MOST_ASKED
    this.token = null; // {access, refresh, ends}: only where the API is on another origin
  }

  /** The API is of another origin than the page: no cookie goes there, tokens do. */
  get isForeign() {
    return Boolean(this.base) && new URL(this.base, origin()).origin !== origin();
  }

  url(path, query) {
    return this.base + path + queryText(query);
  }

  get(path, query, options = {}) {
    return this.request("GET", path, { query, ...options });
  }
  post(path, body, options = {}) {
    return this.request("POST", path, { body, ...options });
  }
  put(path, body, options = {}) {
    return this.request("PUT", path, { body, ...options });
  }
  patch(path, body, options = {}) {
    return this.request("PATCH", path, { body, ...options });
  }
  delete(path, query, options = {}) {
    return this.request("DELETE", path, { query, ...options });
  }

  async request(method, path, { query, body, headers = {}, signal, raw = false, quiet = false } = {}) {
    const sent = { accept: "application/json", ...headers };
    const init = { method, signal, headers: sent, credentials: this.isForeign ? "omit" : "same-origin" };
    if (body !== undefined) {
      const plain = body === null || Object.getPrototypeOf(body) === Object.prototype || Array.isArray(body);
      init.body = plain ? JSON.stringify(body) : body;
      if (plain) sent["content-type"] = "application/json";
    }
    if (this.isForeign) {
      const token = await this._access();
      if (token) sent.authorization = `Bearer ${token}`;
    } else if (method !== "GET" && this.hooks.csrf?.()) {
      sent["x-csrf-token"] = this.hooks.csrf();
    }
    if (method === "GET" && this.asked.size < MOST_ASKED) this.asked.add(path);
    let answer;
    try {
      answer = await fetch(this.url(path, query), init);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      this.hooks.reached?.(false);
      throw new ApiError({
        title: "No connection",
        detail: `${method} ${path}: expected an answer, got none. Is the gateway or telerig view still running, and is its address right (Settings)?`,
      });
    }
    const kept = answer.headers.get("x-telerig-kept");
    if (kept) this.hooks.kept?.(new Date(kept));
    else this.hooks.reached?.(answer.status !== 502 && answer.status !== 504);
    if (!answer.ok) {
      const error = await problemOf(answer, `${method} ${path}`);
      if (error.status === 401 && !quiet) this.hooks.signedOut?.(error);
      throw error;
    }
    if (raw) return answer;
    if (answer.status === 204) return null;
    const kind = answer.headers.get("content-type") || "";
    if (!kind.includes("json")) return answer.text();
    try {
      return await answer.json();
    } catch {
      throw new ApiError({ status: answer.status, title: "Not JSON", detail: `${method} ${path}: expected JSON, got something else` });
    }
  }

  /** Open a WebSocket; on another origin with a ticket, since no cookie goes there. */
  async socket(path, query = {}, protocols = undefined) {
    const asked = { ...query };
    if (this.isForeign) asked.ticket = (await this.post("/api/v1/auth/ticket")).ticket;
    return new WebSocket(this.wsBase + path + queryText(asked), protocols);
  }

  // Tokens, for an API on another origin.

  async signIn(name, password) {
    this._take(await this._tokens({ grant_type: "password", username: name, password }));
  }

  async signOut() {
    const refresh = this._refresh();
    this.token = null;
    sessionStorage.removeItem("telerig.refresh");
    if (refresh) await this._form("/api/v1/auth/revoke", { token: refresh });
  }

  async _access() {
    if (this.token && Date.now() < this.token.ends) return this.token.access;
    const refresh = this._refresh();
    if (!refresh) return "";
    this.renewing ??= this._tokens({ grant_type: "refresh_token", refresh_token: refresh })
      .then((found) => this._take(found))
      .catch((error) => {
        if (error.status) sessionStorage.removeItem("telerig.refresh");
        this.token = null;
      })
      .finally(() => (this.renewing = null));
    await this.renewing;
    return this.token?.access ?? "";
  }

  _refresh() {
    return this.token?.refresh ?? sessionStorage.getItem("telerig.refresh");
  }

  _take({ access_token, expires_in, refresh_token }) {
    this.token = { access: access_token, refresh: refresh_token, ends: Date.now() + (expires_in - 20) * 1000 };
    sessionStorage.setItem("telerig.refresh", refresh_token);
  }

  async _tokens(form) {
    return (await this._form("/api/v1/auth/token", form)).json();
  }

  async _form(path, form) {
    let answer;
    try {
      answer = await fetch(this.url(path), { method: "POST", body: new URLSearchParams(form), credentials: "omit" });
    } catch {
      throw new ApiError({
        title: "No connection",
        detail: `expected the API at ${this.base}, got no answer; does its [http] origins name ${origin()}?`,
      });
    }
    if (!answer.ok) throw await problemOf(answer, `POST ${path}`);
    return answer;
  }
}

/** Make an ApiError of an answer that is not a good one. */
export async function problemOf(answer, what) {
  let body = {};
  try {
    body = await answer.json();
  } catch {
    // Not of ours: a proxy's page, or nothing.
  }
  const wait = Number(answer.headers.get("retry-after"));
  return new ApiError({
    status: answer.status,
    title: body.title || answer.statusText || `status ${answer.status}`,
    detail: body.detail || body.error_description || `${what}: answered with ${answer.status} ${answer.statusText}`.trim(),
    errors: body.errors || [],
    where: body.where || "",
    expected: body.expected || "",
    found: body.found || "",
    retryAfterS: Number.isFinite(wait) && wait > 0 ? wait : null,
  });
}

export function queryText(query) {
  const found = new URLSearchParams();
  for (const [key, value] of Object.entries(query ?? {})) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== "") found.append(key, String(one));
    }
  }
  const text = found.toString();
  return text ? `?${text}` : "";
}

export function wsOf(base) {
  return base.replace(/^http/, "ws");
}

function origin() {
  return globalThis.location?.origin ?? "http://127.0.0.1";
}
