// Who uses the pages, and how the connection is. One object for the page's life.
//
//   state.me                 {name, kind, role, scope, csrf}; role "public" for nobody
//   state.can("operator")    has that role or a higher one
//   state.connection         "unknown", "up", "away", "offline"
//   state.on("me" | "connection" | "settings", fn) -> off

const RANK = { public: 0, viewer: 1, operator: 2, admin: 3 };
const NOBODY = Object.freeze({ name: "", kind: "nobody", role: "public", scope: null, device: null, csrf: null });
const LOCAL = Object.freeze({ ...NOBODY, name: "local", kind: "local", role: "admin" });

const ME = "telerig.me";

function remember(me) {
  try {
    if (me.kind === "nobody") localStorage.removeItem(ME);
    else localStorage.setItem(ME, JSON.stringify({ ...me, csrf: null }));
  } catch {
    // No storage: nothing is known while there is no connection.
  }
}

function remembered() {
  try {
    return { ...NOBODY, ...JSON.parse(localStorage.getItem(ME) ?? "{}") };
  } catch {
    return NOBODY;
  }
}

export class State {
  constructor(config, settings) {
    this.config = config;
    this.settings = settings;
    // Over runs alone there is nobody to sign in with: who started `telerig view` looks.
    this.me = config.gateway ? NOBODY : LOCAL;
    this.connection = "unknown";
    this.kept = null;
    this._heard = new Map();
    this.ready = Promise.resolve(); // until `load` was called; then: until the API has answered
  }

  can(role) {
    return (RANK[this.me.role] ?? 0) >= (RANK[role] ?? 99);
  }

  get isSignedIn() {
    return this.me.kind === "user";
  }

  on(name, fn) {
    if (!this._heard.has(name)) this._heard.set(name, new Set());
    this._heard.get(name).add(fn);
    return () => this._heard.get(name).delete(fn);
  }

  emit(name) {
    for (const fn of [...(this._heard.get(name) ?? [])]) fn(this);
  }

  /** Ask the API who we are; never rejects. */
  load(api) {
    return (this.ready = this._load(api));
  }

  async _load(api) {
    if (this.config.gateway) {
      try {
        this.setMe(await api.get("/api/v1/auth/me", {}, { quiet: true }));
        remember(this.me);
      } catch (error) {
        // Not known: then it is who it was. The API decides anyway.
        this.setMe(error.status === 401 ? NOBODY : remembered());
      }
    } else {
      this.setMe(LOCAL);
      this.setConnection("up");
    }
  }

  setMe(me) {
    this.me = me ?? NOBODY;
    document.documentElement.dataset.rank = String(RANK[this.me.role] ?? 0);
    this.emit("me");
  }

  signedOut() {
    remember(NOBODY);
    this.setMe(NOBODY);
  }

  /** What is shown was kept by the service worker at that time; null: it is of now. */
  setKept(date) {
    this.kept = date;
    this.setConnection(navigator.onLine ? "away" : "offline");
    this.emit("connection");
  }

  setConnection(connection) {
    if (connection === "up") this.kept = null;
    if (connection === this.connection) return;
    this.connection = connection;
    document.documentElement.dataset.connection = connection;
    this.emit("connection");
  }
}
