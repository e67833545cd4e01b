// Bytes as people read them: text with its control characters shown, or pairs of hexadecimal digits.

const NAMES = { 0: "\\0", 9: "\\t", 10: "\\n", 13: "\\r" };

/** Latin-1 text as one line; what cannot be printed gets a sign. */
export function shownText(raw) {
  let shown = "";
  for (const sign of raw) {
    const code = sign.charCodeAt(0);
    if (NAMES[code]) shown += NAMES[code];
    else if (code < 32 || (code > 126 && code < 160)) shown += "·";
    else shown += sign;
  }
  return shown;
}

/** Latin-1 text as "7E 04 41"; more than `most` bytes end with "…". */
export function shownHex(raw, most = 256) {
  const pairs = [];
  for (let i = 0; i < raw.length && i < most; i++) pairs.push(raw.charCodeAt(i).toString(16).toUpperCase().padStart(2, "0"));
  return pairs.join(" ") + (raw.length > most ? " …" : "");
}

/** True where most of it can be printed: then text tells more than numbers. */
export function isText(raw) {
  let printable = 0;
  for (let i = 0; i < raw.length; i++) {
    const code = raw.charCodeAt(i);
    if ((code >= 32 && code < 127) || code === 10 || code === 13) printable++;
  }
  return printable >= raw.length * 0.9;
}
