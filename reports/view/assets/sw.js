// The service worker: keeps the shell, and the last state of what was looked at, for when there is
// no connection. In front of this file stand VERSION and FILES (reports/view/files.py): a change of
// any file makes another worker, which the browser takes at the next visit.
//
// API answers are kept only while somebody is signed in (or nobody has to), in a cache that is
// deleted when that one leaves. Never kept: sign-in, users, keys, whatever says `no-store`.

const SHELL = `telerig-shell-${VERSION}`;
const KEPT = "telerig-kept";
const INDEX = "/__index";
const WHO = "/__who";
const PATIENCE_MS = 6000;
const MOST_ANSWERS = 80;
const LARGEST_BYTES = 512 * 1024;
const NEVER = /^\/api\/(v1\/)?(auth|users|audit|setup|export|provision)|\/(keys?|export)(\/|$)/;

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(activate()));
self.addEventListener("message", (event) => {
  if (event.data?.type === "who") event.waitUntil(setWho(event.data.name));
});
self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (origin !== location.origin) return;
  if (request.method === "POST") {
    if (pathname === "/_dash-update-component") event.respondWith(layoutOfPage(event));
  } else if (request.method === "GET") {
    if (pathname.startsWith("/assets/") || pathname.startsWith("/_dash-component-suites/")) event.respondWith(cacheFirst(request));
    else if (pathname === "/_dash-layout" || pathname === "/_dash-dependencies") event.respondWith(networkFirst(event, SHELL, request));
    else if (request.mode === "navigate") {
      if (!pathname.startsWith("/api/")) event.respondWith(index(event));
    } else if (pathname.startsWith("/api/") && !NEVER.test(pathname) && request.headers.get("accept") === "application/json") {
      event.respondWith(answer(event));
    }
  }
});

async function install() {
  const cache = await caches.open(SHELL);
  const page = await fetch("/settings", { headers: { accept: "text/html" } });
  if (!page.ok) throw new Error(`expected the index page, got status ${page.status}`);
  const text = await page.clone().text();
  await cache.put(INDEX, page);
  const named = [...text.matchAll(/(?:src|href)="(\/(?:assets|_dash-component-suites)\/[^"]+)"/g)].map((match) => match[1]);
  const all = new Set([...named, ...FILES, "/_dash-layout", "/_dash-dependencies"]);
  await Promise.all([...all].map((path) => cache.add(path)));
  await self.skipWaiting();
}

async function activate() {
  for (const name of await caches.keys()) {
    if (name.startsWith("telerig-shell-") && name !== SHELL) await caches.delete(name);
  }
  await self.clients.claim();
}

// Who looks. Without that nothing of the API is kept.

async function setWho(name) {
  const cache = await caches.open(KEPT);
  const known = await cache.match(WHO);
  if (known && name !== null && (await known.text()) === name) return;
  await caches.delete(KEPT);
  if (name !== null) await (await caches.open(KEPT)).put(WHO, new Response(name));
}

async function answer(event) {
  const { request } = event;
  try {
    const found = await patiently(fetch(request));
    event.waitUntil(keep(request, found.clone()));
    return found;
  } catch {
    return (await (await caches.open(KEPT)).match(request, { ignoreVary: true })) ?? Response.error();
  }
}

async function keep(request, found) {
  const cache = await caches.open(KEPT);
  if (found.status === 401) {
    await caches.delete(KEPT);
    return;
  }
  const { headers } = found;
  const isJson = (headers.get("content-type") ?? "").startsWith("application/json");
  if (!found.ok || !isJson || /no-store/.test(headers.get("cache-control") ?? "")) return;
  if (Number(headers.get("content-length") ?? 0) > LARGEST_BYTES) return;
  if (!(await cache.match(WHO))) return;
  const body = await found.blob();
  const said = { "content-type": "application/json", "x-telerig-kept": new Date().toISOString() };
  await cache.put(request, new Response(body, { headers: said }));
  const keys = (await cache.keys()).filter((key) => new URL(key.url).pathname !== WHO);
  for (const key of keys.slice(0, Math.max(0, keys.length - MOST_ANSWERS))) await cache.delete(key);
}

// The shell.

async function cacheFirst(request) {
  const cache = await caches.open(SHELL);
  const known = await cache.match(request);
  if (known) return known;
  const found = await fetch(request);
  if (found.ok) await cache.put(request, found.clone());
  return found;
}

async function networkFirst(event, name, key, store = (found) => found.ok) {
  const cache = await caches.open(name);
  try {
    const found = await patiently(fetch(event.request));
    if (store(found)) event.waitUntil(cache.put(key, found.clone()));
    return found;
  } catch (error) {
    const known = await cache.match(key);
    if (known) return known;
    throw error;
  }
}

function index(event) {
  // The API's own pages are none of ours: they are neither kept nor replaced while there is a way.
  return networkFirst(event, SHELL, INDEX, (found) => found.ok && found.headers.has("x-telerig-page"));
}

/** Dash asks by POST which layout a page has; it holds no data, and may be kept by its address. */
async function layoutOfPage(event) {
  const asked = await event.request.clone().json().catch(() => ({}));
  const path = (asked.inputs ?? []).flat().find((input) => input?.property === "pathname")?.value;
  if (!path || !String(asked.output).includes("_pages_content")) return fetch(event.request);
  try {
    return await networkFirst(event, SHELL, `/__page${path}`);
  } catch {
    return Response.json(notKept());
  }
}

function notKept() {
  const made = (type, props) => ({ namespace: "dash_html_components", type, props });
  const children = [
    made("H1", { children: "There is no connection", id: "page-title" }),
    made("P", { children: "This page was not looked at before, and is not kept on this device." }),
  ];
  const page = made("Div", { className: "page", children });
  return { multi: true, response: { _pages_content: { children: page }, _pages_store: { data: { title: "No connection · telerig" } } } };
}

function patiently(promise) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("no answer")), PATIENCE_MS);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
