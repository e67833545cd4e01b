// Files: of what is shown, and of the API's exports.

/** Hand a text over as a file. */
export function save(name, text, type) {
  hand(name, new Blob([text], { type }));
}

function hand(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/**
 * Fetch a file of the API and hand it over. Fetched, not linked: what is refused is said in words,
 * and an API on another origin gets its token.
 */
export async function download(view, path, say) {
  say("Download: asked for …", "busy");
  const answer = await view.api.request("GET", path, { raw: true, headers: { accept: "*/*" } });
  const parts = [];
  let size = 0, toldAt = 0;
  const reader = answer.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    size += value.length;
    if (performance.now() - toldAt > 250) {
      toldAt = performance.now();
      say(`Download: ${(size / 1e6).toFixed(1)} MB …`, "busy");
    }
  }
  const name = nameOf(answer.headers.get("content-disposition")) ?? path.split("?")[0].split("/").at(-1);
  hand(name, new Blob(parts, { type: answer.headers.get("content-type") ?? "" }));
  say(`${name}: ${size < 1e5 ? `${size} bytes` : `${(size / 1e6).toFixed(1)} MB`}`, "good");
}

/** The file's name of a Content-Disposition header; null where it has none. */
export function nameOf(header) {
  const wide = /filename\*=UTF-8''([^;]+)/i.exec(header ?? "");
  if (wide) return decodeURIComponent(wide[1]);
  const plain = /filename="?([^";]+)"?/i.exec(header ?? "");
  return plain ? plain[1] : null;
}
